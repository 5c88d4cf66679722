/**
 * Interim responses [RFC9110 §15.2]: what an exchange may say before its answer, such as the links
 * of a 103 [RFC8297]. Made into text here, because node writes only one shape of 103 and uWS none.
 *
 * 100 and 101 are not to be sent this way: the engines answer expectations and upgrades themselves.
 */
import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../config/limits.ts';
import { checkHeaders } from './header-safety.ts';
import type { HeaderList } from './port.ts';
import { statusLine } from './status-text.ts';

/** The interim responses of one exchange, within what one exchange may say so. */
export class Interims {
  #count = 0;
  #bytes = 0;

  /**
   * The bytes of the response, one a character; `undefined` when the exchange has said enough.
   * Throws `AssertionFailure` for a status or a field that must not be sent.
   */
  textOf(status: number, headers: HeaderList): string | undefined {
    assert(status > 101 && status < 200, 'an interim response has a status from 102 to 199');
    checkHeaders(headers);
    let text = `HTTP/1.1 ${statusLine(status)}\r\n`;
    for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    this.#count += 1;
    this.#bytes += text.length;
    const isTooMuch = this.#count > LIMITS.interimsMax || this.#bytes > LIMITS.interimBytesMax;
    return isTooMuch ? undefined : `${text}\r\n`;
  }
}
