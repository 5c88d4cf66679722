/**
 * `{"operation":"sign_url","url":"https://www.example.com/films/1.mp4","expires_in":"1h"}`: a URL
 * that may be read without signing in until it ends, of pages whose policy wants signed URLs.
 */
import { signedQuery } from '../access/signed-url.ts';
import { parseDuration } from '../config/units.ts';
import { type Arguments, type Operation, usage } from './operation.ts';

const LIFETIME_DEFAULT = '1h';
const URL_CHARS_MAX = 8_192;

export const signUrl: Operation = {
  name: 'sign_url',
  takes: ['url', 'expires_in', 'key'],
  run(args, { urlKeys, identity }) {
    const key = args.key === undefined ? urlKeys[0] : urlKeys.find(({ name }) => name === args.key);
    if (key === undefined) {
      const known = urlKeys.map(({ name }) => name).join(', ');
      throw usage(
        known === ''
          ? 'no key signs URLs yet: set auth.urlKeys in millrace.yaml'
          : `key: one of ${known}`,
      );
    }
    const url = urlArgument(args);
    const seconds = Math.ceil((identity.now() + lifetimeArgument(args)) / 1000);
    const target = { host: url.host, path: url.pathname, query: url.search.slice(1) };
    const query = signedQuery(target, key, seconds);
    return {
      url: `${url.origin}${url.pathname}?${query}`,
      key: key.name,
      expires: new Date(seconds * 1000).toISOString(),
    };
  },
};

function urlArgument({ url }: Arguments): URL {
  const isWeb = typeof url === 'string' && /^https?:\/\//i.test(url) && URL.canParse(url);
  if (isWeb && url.length <= URL_CHARS_MAX) return new URL(url);
  throw usage('url: the address of a page, whole: https://www.example.com/films/1.mp4');
}

function lifetimeArgument({ expires_in: given = LIFETIME_DEFAULT }: Arguments): number {
  const span = parseDuration(given);
  if (span !== undefined && span > 0) return span;
  throw usage('expires_in: a span such as 10m, 12h or 7d');
}
