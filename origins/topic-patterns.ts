/**
 * Topics and subjects as records: `sensors/{id}/state` subscribes to `sensors/+/state` (MQTT), and
 * `sensors.{id}.state` to `sensors.*.state` (NATS); what stands at `{id}` is the record's id.
 */
import { NodeError, type RecordId } from 'millrace';

/** How a broker writes the names of what it carries. */
export interface TopicSyntax {
  readonly noun: 'topic' | 'subject';
  readonly separator: string;
  /** Stands for one whole level. */
  readonly one: string;
  /** Stands for all levels from here on. */
  readonly rest: string;
  readonly example: string;
  /** What no level of a name may hold. */
  readonly reserved: RegExp;
}

export const MQTT_TOPICS: TopicSyntax = {
  noun: 'topic',
  separator: '/',
  one: '+',
  rest: '#',
  example: 'sensors/{id}/state',
  reserved: /[/+#\0]/,
};

export const NATS_SUBJECTS: TopicSyntax = {
  noun: 'subject',
  separator: '.',
  one: '*',
  rest: '>',
  example: 'sensors.{id}.state',
  reserved: /[.*>\s\0]/,
};

export interface TopicPattern {
  readonly filter: string;
  /** The id in a topic's name; `undefined`: another topic. `''`: the topic names no id. */
  idIn(topic: string): string | undefined;
}

const ID = '{id}';

/** Throws when the template is no topic filter. */
export function topicPattern(syntax: TopicSyntax, origin: string, template: string): TopicPattern {
  const { noun, separator, one, rest, example } = syntax;
  const levels = template.split(separator);
  const isSound = levels.every(
    (level, at) =>
      level === ID ||
      level === one ||
      (level === rest && at === levels.length - 1) ||
      ![...level].some((character) => `{}${one}${rest}`.includes(character)),
  );
  if (!isSound || levels.filter((level) => level === ID).length > 1) {
    throw new Error(
      `origin ${origin}: ${noun} ${template}: {id}, ${one} and ${rest} stand for whole levels, ` +
        `{id} once, ${rest} last, as in ${example}`,
    );
  }
  const place = levels.indexOf(ID);
  const isOpen = (level: string) => level === one || level === rest || level === ID;
  return {
    filter: levels.map((level) => (level === ID ? one : level)).join(separator),
    idIn(topic) {
      const names = topic.split(separator);
      const isRest = levels.at(-1) === rest;
      if (isRest ? names.length < levels.length - 1 : names.length !== levels.length) {
        return undefined;
      }
      const fits = levels.every((level, at) => isOpen(level) || level === names[at]);
      return fits ? (names[place] ?? '') : undefined;
    },
  };
}

/** The topic of one record; throws for an id that would reach another one. */
export function topicOf(
  { noun, reserved }: TopicSyntax,
  origin: string,
  template: string,
  id: RecordId,
): string {
  const level = String(id);
  if (level !== '' && !reserved.test(level)) return template.replace(ID, () => level);
  const message = `origin ${origin}: ${JSON.stringify(id)} cannot stand in a ${noun}`;
  throw new NodeError('ORIGIN_STATUS', message, { blame: 'origin', details: { status: 422 } });
}

/** The templates of `subject`/`topic` and its plural; throws when nothing says what the id is. */
export function templatesOf(
  { noun, example }: TopicSyntax,
  origin: string,
  options: Readonly<Record<string, unknown>>,
  namesId: boolean,
): readonly string[] {
  const [one, several] = [options[noun], options[`${noun}s`]];
  const many = Array.isArray(several) ? several.map(String) : [];
  const templates = typeof one === 'string' ? [one, ...many] : many;
  if (templates.length === 0) {
    throw new Error(`origin ${origin}: it needs a ${noun}, such as ${example}`);
  }
  if (namesId || templates.every((each) => each.includes(ID))) return templates;
  throw new Error(
    `origin ${origin}: nothing says what the id is: write {id} in the ${noun}, or ` +
      'feed: { id: $.id } for a place in the payload',
  );
}

/** The template of writes; throws unless it names one record. */
export function publishTemplate(
  syntax: TopicSyntax,
  origin: string,
  template: unknown,
): string | undefined {
  if (typeof template !== 'string') return undefined;
  const { separator, one, rest, noun } = syntax;
  const pattern = topicPattern(syntax, origin, template);
  const levels = template.split(separator);
  if (levels.includes(ID) && !levels.includes(one) && !levels.includes(rest)) return template;
  throw new Error(`origin ${origin}: publish: ${pattern.filter} is no ${noun} with {id} in it`);
}
