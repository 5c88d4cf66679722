/**
 * `${env.NAME}`, `${env.NAME:-default}` and `${file:path}` in the values of YAML files, so that
 * secrets stay out of them. `$${` stands for `${`; `${port}` is left for the process that an origin
 * starts. Values are filled in after the YAML was parsed, so they cannot add structure to it.
 */
import type { SourcePlace } from '../schema/definition.ts';
import { nearest } from '../schema/nearest.ts';
import type { ProblemList } from '../schema/problem.ts';

export interface Substitutes {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Content of a file relative to the application; `undefined` when it cannot be read. */
  readFile(path: string): string | undefined;
  /** Variables which somebody else fills in later. */
  readonly keep?: ((variable: string) => boolean) | undefined;
}

const VARIABLE = /\$\$\{|\$\{([^{}]*)\}/g;
const LEFT_ALONE = 'port';

export function substitute(
  text: string,
  substitutes: Substitutes,
  place: SourcePlace,
  problems: ProblemList,
): string {
  if (!text.includes('${')) return text;
  return text.replace(VARIABLE, (whole, variable: string | undefined) => {
    if (variable === undefined) return '${';
    if (variable === LEFT_ALONE || substitutes.keep?.(variable) === true) return whole;
    const value = variableValue(variable.trim(), substitutes, place, problems);
    return value ?? '';
  });
}

function variableValue(
  variable: string,
  substitutes: Substitutes,
  place: SourcePlace,
  problems: ProblemList,
): string | undefined {
  if (variable.startsWith('env.')) {
    const [name = '', ...rest] = variable.slice('env.'.length).split(':-');
    const value = substitutes.env[name];
    if (value !== undefined) return value;
    if (rest.length > 0) return rest.join(':-');
    problems.add(place, `environment variable ${name} is not set`, {
      cause: nearMiss(name, substitutes.env),
      cure: `set ${name}, or write \${env.${name}:-default}`,
    });
    return undefined;
  }
  if (variable.startsWith('file:')) {
    const path = variable.slice('file:'.length);
    const content = substitutes.readFile(path);
    if (content === undefined) problems.add(place, `file ${path} cannot be read`);
    // Files of secrets usually end in a line break which is no part of the secret.
    return content?.replace(/\r?\n$/, '');
  }
  problems.add(place, `unknown variable \${${variable}}`, {
    cure: `write \${env.NAME} or \${file:path}; $\${ stands for a plain \${`,
  });
  return undefined;
}

function nearMiss(name: string, env: Substitutes['env']): string | undefined {
  const near = nearest(name, Object.keys(env));
  return near === undefined ? undefined : `${near} is set`;
}
