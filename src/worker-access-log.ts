/**
 * The access log of one thread, when the configuration wants one; a reload opens its file anew, so
 * that it can be rotated by moving it away.
 */
import { randomUUID } from 'node:crypto';
import type { Authenticate } from './access/authenticate.ts';
import type { Clock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import type { ReloadParts } from './config/reload.ts';
import { AccessLog } from './observe/access-log.ts';
import type { AccessLogParts } from './protocols/http/access-log.ts';
import type { HttpRequest } from './protocols/http/port.ts';

export interface AccessLogSurroundings {
  readonly config: Config;
  readonly clock: Clock;
  readonly reload: ReloadParts;
}

export interface ThreadAccessLog extends AccessLogParts {
  close(): void;
}

/** `undefined` when there is none. Throws `CONFIG_INVALID` when its file cannot be written. */
export function openAccessLog(
  { config, clock, reload }: AccessLogSurroundings,
  authenticate: Authenticate,
): ThreadAccessLog | undefined {
  const { file, format } = config.accessLog;
  if (file === undefined) return undefined;
  const log = opened(file, format, clock);
  reload.add({
    name: 'access log',
    prepare: () => ({ changes: [], apply: () => log.reopen() }),
  });
  return {
    log: (line) => log.add(line),
    close: () => log.close(),
    newId: randomUUID,
    monotonic: () => clock.monotonic(),
    principalOf: (request) => nameOf(request, authenticate),
  };
}

function opened(file: string, format: Config['accessLog']['format'], clock: Clock): AccessLog {
  try {
    return new AccessLog(file, format, clock);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `accessLog.file: ${why}; name a file in a folder that this user may write to`;
    throw new NodeError('CONFIG_INVALID', message, { cause });
  }
}

/** Who asked has been found out when the answer is there: this is a look-up. */
function nameOf(request: HttpRequest, authenticate: Authenticate): string | undefined {
  const found = authenticate(request);
  if (found.kind !== 'principal' || found.principal.kind === 'anonymous') return undefined;
  return found.principal.name;
}
