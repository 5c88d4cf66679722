/** Tells a client of `/live` what was refused, and why; a limit that did it is counted. */
import { type ErrorCode, NodeError } from '../../base/errors.ts';
import { limitOf } from '../http/problem.ts';
import { type Answering, errorMessage } from './answers.ts';
import type { Connection } from './connection.ts';

export function refuse(connection: Connection, error: NodeError, answering: Answering = {}): void {
  const limit = limitOf(error);
  if (limit !== undefined) connection.limitHit(limit);
  connection.say(errorMessage(error, answering));
}

export const clientError = (code: ErrorCode, message: string): NodeError =>
  new NodeError(code, message, { blame: 'client' });

export const malformed = (reason: string, details: NodeError['details'] = {}): NodeError =>
  new NodeError('REQUEST_MALFORMED', reason, { blame: 'client', details });
