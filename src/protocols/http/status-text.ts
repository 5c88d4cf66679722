/**
 * Status lines as the uWS engine needs them, made once for each code. The phrase has no meaning to
 * anybody [RFC9112 §4], but some old clients want one.
 */
import { STATUS_CODES } from 'node:http';

const lines: string[] = [];
for (let status = 100; status < 600; status += 1) {
  lines[status] = `${status} ${STATUS_CODES[status] ?? 'Status'}`;
}

/** `"404 Not Found"`. */
export function statusLine(status: number): string {
  return lines[status] ?? `${status} Status`;
}

/** Responses which never have a body, nor a length of one [RFC9110 §8.6]. */
export function isBodiless(status: number): boolean {
  return status === 304 || status === 204 || status < 200;
}
