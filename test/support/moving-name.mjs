/**
 * Loaded into a node by NODE_OPTIONS=--import: the resolver answers for `moving.test` whatever
 * addresses stand in MILLRACE_TEST_NAME_FILE at that moment, as a name server whose owner changes
 * its mind does. Other names are resolved as ever.
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const file = process.env.MILLRACE_TEST_NAME_FILE;
const real = dns.lookup;
if (file !== undefined) {
  dns.lookup = (name, options, callback) => {
    if (name !== 'moving.test') return real(name, options, callback);
    const addresses = readFileSync(file, 'utf8').trim().split(' ');
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    setImmediate(() => callback(null, found));
    return undefined;
  };
  syncBuiltinESMExports();
}
