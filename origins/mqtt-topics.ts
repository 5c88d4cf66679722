/**
 * Topics as records: `sensors/{id}/state` subscribes to `sensors/+/state`, and what stands at
 * `{id}` is the record's id.
 */
import { NodeError, type RecordId } from 'millrace';

export interface TopicPattern {
  readonly filter: string;
  /** The id in a topic's name; `undefined`: another topic. `''`: the topic names no id. */
  idIn(topic: string): string | undefined;
}

const ID = '{id}';

/** Throws when the template is no topic filter. */
export function topicPattern(origin: string, template: string): TopicPattern {
  const levels = template.split('/');
  const isSound = levels.every(
    (level, at) =>
      level === ID ||
      level === '+' ||
      (level === '#' && at === levels.length - 1) ||
      !/[{}+#]/.test(level),
  );
  if (!isSound || levels.filter((level) => level === ID).length > 1) {
    throw new Error(
      `origin ${origin}: topic ${template}: {id}, + and # stand for whole levels, {id} once, ` +
        '# last, as in sensors/{id}/state',
    );
  }
  const place = levels.indexOf(ID);
  return {
    filter: levels.map((level) => (level === ID ? '+' : level)).join('/'),
    idIn(topic) {
      const names = topic.split('/');
      const isRest = levels.at(-1) === '#';
      if (isRest ? names.length < levels.length - 1 : names.length !== levels.length) {
        return undefined;
      }
      const fits = levels.every(
        (level, at) => /^(\+|#|\{id\})$/.test(level) || level === names[at],
      );
      return fits ? (names[place] ?? '') : undefined;
    },
  };
}

/** The topic of one record; throws for an id that would reach another one. */
export function topicOf(origin: string, template: string, id: RecordId): string {
  const level = String(id);
  if (level !== '' && !/[/+#\0]/.test(level)) return template.replace(ID, () => level);
  const message = `origin ${origin}: ${JSON.stringify(id)} cannot stand in a topic`;
  throw new NodeError('ORIGIN_STATUS', message, { blame: 'origin', details: { status: 422 } });
}
