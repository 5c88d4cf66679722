/**
 * The flags of `millrace dev` and `millrace start`, as data for whatever parses the command line.
 */
import { type FlagDefinition, SETTINGS, type Setting, type SettingKey } from './settings.ts';

export interface Flag extends FlagDefinition {
  readonly key: SettingKey;
  readonly env: string | undefined;
  /** The name in camel case, as command-line parsers give it: `httpPort`. */
  readonly property: string;
}

/** Values of flags by `property`; repeatable ones as lists. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | undefined>>;

const camelCase = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

export const FLAGS: readonly Flag[] = Object.entries<Setting<unknown>>(SETTINGS).flatMap(
  ([key, setting]) =>
    setting.flag === undefined
      ? []
      : [
          {
            ...setting.flag,
            key: key as SettingKey,
            env: setting.env,
            property: camelCase(setting.flag.name),
          },
        ],
);
