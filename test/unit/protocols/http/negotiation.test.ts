/** Which type or coding a client prefers. */
import { describe, expect, it } from 'vitest';
import { acceptsCoding, prefers } from '../../../../src/protocols/http/accept.ts';

const offered = ['application/json', 'text/csv'];

describe('negotiation', () => {
  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['text/*, application/json;q=0.5', 'text/csv'],
    ['text/csv;q=0.1, */*;q=0.2', 'application/json'],
    ['TEXT/CSV', 'text/csv'],
    ['application/json;q=0, */*', 'text/csv'],
    ['image/png', undefined],
    ['text/csv;q=0', undefined],
    ['text/csv;q=high', undefined],
  ])('prefers for %j: %s [RFC9110 §12.5.1]', (accept, expected) => {
    expect(prefers(accept, offered)).toBe(expected);
  });

  it.each([
    [undefined, false],
    ['gzip, br', true],
    ['gzip', false],
    ['*', true],
    ['br;q=0, *', false],
    ['br;q=0.1', true],
  ])('allows br for %j: %s [RFC9110 §12.5.3]', (field, expected) => {
    expect(acceptsCoding(field, 'br')).toBe(expected);
  });
});
