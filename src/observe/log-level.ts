/**
 * Takes over `log.level` while the node runs, on each thread its own: a fault is looked into with
 * `debug` without losing it by a restart.
 */
import type { ReloadPart } from '../config/reload.ts';
import type { LevelledLog, LogLevel } from './log.ts';

/** `from`: the level in the configuration of the start; `dev` shows less than it says. */
export function logLevelPart(log: LevelledLog, from: LogLevel): ReloadPart {
  let current = from;
  return {
    name: 'log level',
    settings: ['log.level'],
    prepare({ config }) {
      const { level } = config.log;
      const changes = level === current ? [] : [`log.level: ${current} → ${level}`];
      return {
        changes,
        apply() {
          if (level !== current) log.level = level;
          current = level;
        },
      };
    },
  };
}
