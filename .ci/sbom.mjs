/**
 * Writes the SBOM (`npm run sbom`) and looks at it: what the node loads of native code must be in it,
 * with its version. Run in a clone after `npm ci`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const NATIVE = ['lmdb', 'msgpackr', 'cbor-x', '@node-rs/argon2'];

execFileSync('npm', ['run', '-s', 'sbom'], { stdio: 'inherit' });
const { components } = JSON.parse(readFileSync('sbom.cdx.json', 'utf8'));
const versions = new Map(
  components.map(({ group, name, version }) => [group ? `${group}/${name}` : name, version]),
);
const missing = NATIVE.filter((name) => versions.get(name) === undefined);
if (missing.length > 0) throw new Error(`the SBOM lacks ${missing.join(', ')}`);
console.log(`${versions.size} components, native ones among them`);
