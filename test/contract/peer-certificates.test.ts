/**
 * A cluster that knows its nodes by certificates: founding it, joining by invitation, and who is
 * turned away at either end of a connection.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { asNodeError } from '../../src/base/errors.ts';
import { ClusterFolder, readJoinToken } from '../../src/protocols/replication/cluster-folder.ts';
import type { PeerConnection } from '../../src/protocols/replication/connection.ts';
import { LinkCounts } from '../../src/protocols/replication/counts.ts';
import { dialPeer } from '../../src/protocols/replication/dial.ts';
import { joinCluster } from '../../src/protocols/replication/join.ts';
import type { LinkTls } from '../../src/protocols/replication/link-options.ts';
import { listenForPeers } from '../../src/protocols/replication/listener.ts';
import { until } from '../support/node-process.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const HOUR_MS = 3_600_000;
const now = Date.now();

function folder(): ClusterFolder {
  const data = mkdtempSync(path.join(tmpdir(), 'millrace-cluster-'));
  cleanUp.push(() => rmSync(data, { recursive: true }));
  return new ClusterFolder(data);
}

function founded(name = 'one'): ClusterFolder {
  const made = folder();
  made.found(name, now);
  return made;
}

const tlsIn = (from: ClusterFolder): LinkTls => {
  const found = from.certificates();
  if (found === undefined) throw new Error('no certificates');
  return found;
};

const optionsOf = (name: string, tls: LinkTls | undefined, revoked: readonly string[] = []) => ({
  ...{ name, tls, secret: undefined, revoked: () => new Set(revoked) },
  watch: { counts: new LinkCounts(), onFault: () => undefined },
});

async function founder() {
  const files = founded();
  const accepted: PeerConnection[] = [];
  const options = optionsOf('one', tlsIn(files));
  const listener = await listenForPeers({
    ...{ ...options, host: '127.0.0.1', port: 0 },
    accept: (connection) => accepted.push(connection),
    admit: (request) => files.admit(request, now),
  });
  cleanUp.push(() => listener.close());
  const url = `wss://127.0.0.1:${listener.port}`;
  const join = (name: string, token = files.invite(now)) =>
    joinCluster(url, readJoinToken(token), name);
  return { files, accepted, url, join, counts: options.watch.counts };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => asNodeError(error).code,
  );

describe('a cluster with certificates', () => {
  it('takes in a node that shows an invitation, under the name it asked for', async () => {
    const one = await founder();
    const tls = await one.join('two');
    const connection = await dialPeer(one.url, optionsOf('two', tls));
    cleanUp.push(() => connection.close('done'));
    await until('the connection', () => one.accepted[0]?.peer === 'two');
    expect(connection.peer).toBe('one');
  });

  it('has an invitation good once, for an hour, for one cluster', async () => {
    const one = await founder();
    const token = one.files.invite(now);
    expect(await codeOf(one.join('two', token))).toBe('none');
    expect(await codeOf(one.join('three', token))).toBe('PEER_REFUSED');
    expect(await codeOf(one.join('four', one.files.invite(now - 2 * HOUR_MS)))).toBe(
      'PEER_REFUSED',
    );
    expect(await codeOf(one.join('five', founded().invite(now)))).toBe('PEER_REFUSED');
    expect(one.counts.refusals.get('credentials')).toBe(2);
  });

  it('gives nobody the name of a node that is there, but that node itself', async () => {
    const one = await founder();
    await one.join('two');
    expect(await codeOf(one.join('two'))).toBe('PEER_REFUSED');
    expect(await codeOf(one.join('one'))).toBe('PEER_REFUSED');
    expect(await codeOf(one.join('two', one.files.invite(now, 'two')))).toBe('none');
  });

  it('invites only where it was founded, and is founded once', async () => {
    const two = folder();
    two.keep(await (await founder()).join('two'));
    expect(() => two.invite(now)).toThrow(/ca\.key/);
    expect(() => two.found('two', now)).toThrow(/already/);
  });
});

describe('a node that is dialled', () => {
  it.each<[string, (one: Awaited<ReturnType<typeof founder>>) => Promise<LinkTls> | LinkTls]>([
    ['the certificate of another cluster', () => tlsIn(founded('two'))],
    ['the certificate of another node', (one) => one.join('three')],
    [
      'one that has ended',
      ({ files }) => {
        const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const long = now - 900 * 24 * HOUR_MS;
        const { secret } = readJoinToken(files.invite(long));
        const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
        const signed = files.admit({ name: 'two', secret, publicKey: pem }, long);
        return { ...signed, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
      },
    ],
  ])('turns away %s', async (_, certificate) => {
    const one = await founder();
    const tls = await certificate(one);
    const dialling = dialPeer(one.url, optionsOf('two', { ...tls, ca: tlsIn(one.files).ca }));
    expect(await codeOf(dialling)).toMatch(/PEER_REFUSED|PEER_UNREACHABLE/);
    expect(one.accepted).toEqual([]);
    expect(one.counts.refusals.get('certificate')).toBe(1);
  });

  it('turns away a serial number that was revoked', async () => {
    const one = await founder();
    const tls = await one.join('two');
    const before = await dialPeer(one.url, optionsOf('two', tls));
    before.close('done');
    const { serialNumber } = new X509Certificate(tls.cert);
    const own = optionsOf('one', tlsIn(one.files), [serialNumber]);
    const strict = await listenForPeers({
      ...{ ...own, host: '127.0.0.1', port: 0 },
      accept: () => undefined,
    });
    cleanUp.push(() => strict.close());
    const url = `wss://127.0.0.1:${strict.port}`;
    expect(await codeOf(dialPeer(url, optionsOf('two', tls)))).toBe('PEER_REFUSED');
  });

  it('opens nothing to a node without a certificate', async () => {
    const one = await founder();
    const plain = dialPeer(one.url.replace('wss:', 'ws:'), optionsOf('two', undefined));
    expect(await codeOf(plain)).toBe('PEER_UNREACHABLE');
    expect(one.accepted).toEqual([]);
  });
});

describe('a node that dials', () => {
  it('does not go on with a node of another cluster', async () => {
    const one = await founder();
    const other = await founder();
    const tls = await one.join('two');
    expect(await codeOf(dialPeer(other.url, optionsOf('two', tls)))).toBe('PEER_UNREACHABLE');
    expect(other.accepted).toEqual([]);
  });

  it('does not believe a revoked certificate of the node it dials', async () => {
    const one = await founder();
    const tls = await one.join('two');
    const { serialNumber } = new X509Certificate(tlsIn(one.files).cert);
    const dialling = dialPeer(one.url, optionsOf('two', tls, [serialNumber]));
    expect(await codeOf(dialling)).toBe('PEER_REFUSED');
  });
});
