/**
 * Ways around what is granted over MQTT: wildcards, shares, aliases, wills, sessions of
 * others, and everything that was asked for while it was allowed and comes due when it is not.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PASSWORD, publishTo, signedInAs, subscribeTo } from '../support/mqtt-limits.ts';
import { CONNECT, MqttPackets } from '../support/mqtt-packets.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const ALL = { subscribe: true, publish: true, insert: true, update: true, delete: true };
/** All that is kept from those who ask. */
const HIDDEN = 'not for you';
const GUEST = { Mark: { subscribe: true }, Open: ALL };
const FILES = {
  'schema.graphql': `
type Open @table @export { id: ID @primaryKey text: String }
type Secret @table @export { id: ID @primaryKey text: String level: Int }
type Mark @table @export { id: ID @primaryKey text: String }
`,
  'millrace.yaml': 'mqtt: { requireAuthentication: false }\n',
  'roles.yaml': JSON.stringify({ anonymous: { tables: GUEST } }),
};
const NOT_AUTHORIZED = 0x87;
const UNSPECIFIED = 0x80;
const ALIAS_INVALID = 0x94;

const withAlias = (topic: string, messageId: number) => ({
  ...publishTo(topic, `{"text":"by alias"}`, messageId),
  properties: { topicAlias: 1 },
});
const filters = (messageId: number, ...topics: readonly string[]) => ({
  ...subscribeTo(messageId, ...topics),
  subscriptions: topics.map((topic) => ({ topic, qos: 1 as const })),
});
const kept = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

describe.each(['1', '2'])('what is granted over MQTT, threads: %s', (threads) => {
  let node: NodeProcess;
  let marks = 0;
  const peers: MqttPackets[] = [];
  beforeAll(async () => {
    node = await startNode({ files: FILES, flags: ['--threads', threads] });
    await node.operate({ operation: 'add_role', role: 'none', tables: GUEST });
    await node.operate({ operation: 'add_role', role: 'one', tables: GUEST });
    for (const [username, role] of [
      ['alice', 'one'],
      ['mallory', 'none'],
    ]) {
      await node.operate({ operation: 'add_user', username, password: PASSWORD, roles: [role] });
    }
  });
  beforeEach(async () => {
    for (const peer of peers.splice(0)) peer.destroy();
    await mayAlice({ ...GUEST, Secret: ALL });
  });
  afterAll(async () => {
    for (const peer of peers) peer.destroy();
    await node?.dispose();
  });

  const mayAlice = (tables: object) =>
    node.operate({ operation: 'alter_role', role: 'one', tables });
  const write = async (target: string, record: object) => {
    const { username, password } = ADMIN;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    expect((await node.put(target, record, { authorization })).ok).toBe(true);
  };
  const stored = async (target: string): Promise<unknown> => {
    const found = await node.operate({
      ...{ operation: 'search_by_id', table: target.split('/')[0] },
      ...{ ids: [target.split('/')[1]], get_attributes: ['*'] },
    });
    return (found as unknown as { text?: string }[])[0]?.text;
  };
  async function come(options: Parameters<MqttPackets['connect']>[0] = {}): Promise<MqttPackets> {
    const peer = new MqttPackets(node.mqtt);
    peers.push(peer);
    peer.send({ ...CONNECT, ...options });
    return peer;
  }
  async function signIn(username: string, options: object = {}): Promise<MqttPackets> {
    const peer = await come({ ...signedInAs(username), ...options });
    const connack = await peer.next('connack');
    expect(connack?.reasonCode).toBe(0);
    sessions.set(peer, connack?.sessionPresent === true);
    return peer;
  }
  /** What was told to a peer until it heard of a mark that was made now. */
  async function toldUntilNow(peer: MqttPackets): Promise<string> {
    marks += 1;
    const mark = `mark ${threads} ${marks}`;
    peer.send(filters(60_000, 'Mark/m'));
    await write('/Mark/m', { text: mark });
    const told: string[] = [];
    for (;;) {
      const packet = await peer.next('publish');
      if (packet === undefined) throw new Error(`cut off before the mark; told ${told.join()}`);
      const text = `${packet.topic} ${packet.payload.toString()}`;
      told.push(text);
      if (text.includes(mark)) return told.join('\n');
    }
  }

  it('tells nothing of a table by wildcards, shares, or other spellings of its name', async () => {
    await write('/Secret/kept', { text: HIDDEN });
    const names = ['#', '+/#', '+/+', '$share/g/#', '$share/g/+/+', '/#', 'Open/#', '+/kept'];
    const refused = [
      ...['Secret/#', 'Secret/+', 'Secret/kept', '$share/g/Secret/#', '$share/g/Secret/kept'],
      ...['$SYS/#', '$share/g/$SYS/#', 'secret/kept', 'Open/../Secret/kept/', 'Secret%2Fkept'],
      ...['//Secret/kept', 'Secret', '$share/g/Secret/+'],
    ];
    const isTold = (reason: unknown) => Number(reason) < UNSPECIFIED;
    for (const options of [signedInAs('mallory'), {}]) {
      const peer = await come(options);
      expect((await peer.next('connack'))?.reasonCode).toBe(0);
      peer.send(filters(1, ...names), filters(2, ...refused));
      expect((await peer.next('suback'))?.granted.filter(isTold)).not.toHaveLength(0);
      const granted = (await peer.next('suback'))?.granted ?? [];
      // What names no table but lies below one that is open is a key like any other there.
      const got = refused.filter((_, at) => isTold(granted[at]));
      expect(got).toEqual(['Open/../Secret/kept/']);
      await write('/Secret/kept', { text: HIDDEN });
      await write('/Secret/new', { text: HIDDEN });
      expect(await toldUntilNow(peer)).not.toContain(HIDDEN);
    }
  });

  it('judges an alias by its topic, each time, and forgets it with the connection', async () => {
    const peer = await signIn('mallory');
    const told = async () => (await peer.next('puback'))?.reasonCode;
    peer.send(withAlias('Secret/alias', 1));
    expect(await told()).toBe(NOT_AUTHORIZED);
    peer.send(withAlias('', 2));
    expect(await told()).toBe(NOT_AUTHORIZED);
    peer.send(withAlias('Open/alias', 3), withAlias('', 4));
    expect([await told(), await told()]).toEqual([0, 0]);
    peer.send(withAlias('Secret/alias', 5), withAlias('', 6));
    expect([await told(), await told()]).toEqual([NOT_AUTHORIZED, NOT_AUTHORIZED]);
    expect([await stored('Open/alias'), await stored('Secret/alias')]).toEqual([
      'by alias',
      undefined,
    ]);
    const again = await signIn('mallory', { clientId: 'again', ...kept });
    again.send(withAlias('Open/again', 1));
    expect((await again.next('puback'))?.reasonCode).toBe(0);
    const back = await signIn('mallory', { clientId: 'again', ...kept });
    back.send(withAlias('', 2));
    expect((await back.next('disconnect'))?.reasonCode).toBe(ALIAS_INVALID);
  });

  it('has an alias which was given while it was allowed judged when it is used', async () => {
    const peer = await signIn('alice');
    peer.send(withAlias('Secret/later', 1));
    expect((await peer.next('puback'))?.reasonCode).toBe(0);
    await mayAlice(GUEST);
    // Until the connection is ended for it, or, where that was quicker, not at all.
    await until('the end of the connection', () => peer.ended);
    const back = await signIn('alice');
    back.send({ ...withAlias('', 2), qos: 1 });
    expect((await back.next('disconnect'))?.reasonCode).toBe(ALIAS_INVALID);
  });

  it('gives the session of one user to no other, by whatever identifier', async () => {
    const alice = await signIn('alice', { clientId: 'one', ...kept });
    alice.send(filters(1, 'Secret/#'));
    await alice.next('suback');
    const names = ['one', 'alice\none', '\none', 'alice/one'];
    for (const clientId of names) {
      const thief = await come({ ...signedInAs('mallory'), clientId, ...kept });
      const connack = await thief.next('connack');
      expect(connack?.sessionPresent ?? false).toBe(false);
      const anonymous = await come({ clientId, ...kept });
      expect((await anonymous.next('connack'))?.sessionPresent ?? false).toBe(false);
      await write('/Secret/kept', { text: HIDDEN });
      expect(await toldUntilNow(anonymous)).not.toContain(HIDDEN);
    }
    expect(alice.ended).toBe(false);
    expect(await toldUntilNow(alice)).toContain(HIDDEN);
  });

  it('[R11] publishes no will which its sender may not publish, at CONNECT or when due', async () => {
    const willTo = (topic: string, retain: boolean, willDelayInterval: number) => ({
      ...{ topic, payload: Buffer.from('{"text":"will"}'), qos: 1 as const, retain },
      properties: { willDelayInterval },
    });
    const refused = await come({
      ...signedInAs('mallory'),
      will: willTo('Secret/will', false, 0),
    });
    expect((await refused.next('connack'))?.reasonCode).toBe(NOT_AUTHORIZED);
    const admin = await signIn(ADMIN.username, {
      username: ADMIN.username,
      password: Buffer.from(ADMIN.password),
    });
    admin.send(filters(1, 'Secret/#'));
    await admin.next('suback');
    // One of each: cut off when its role changes, and with a delay that is over after it.
    for (const [clientId, delay] of [
      ['cut', 0],
      ['delayed', 1],
    ] as const) {
      for (const retain of [true, false]) {
        const topic = `Secret/${clientId}${retain}`;
        const options = { clientId: topic, ...kept, will: willTo(topic, retain, delay) };
        await signIn('alice', options);
      }
    }
    await signIn('alice', { ...kept, clientId: 'open', will: willTo('Open/will', true, 1) });
    const wills = peers.slice(-5);
    await mayAlice(GUEST);
    await until('the end of their connections', () => wills.every(({ ended }) => ended));
    // The one that is still allowed was due last.
    await until('the will that is allowed', async () => (await stored('Open/will')) === 'will');
    expect(await toldUntilNow(admin)).not.toContain('will');
    expect(await stored('Secret/cuttrue')).toBeUndefined();
    expect(await stored('Secret/delayedtrue')).toBeUndefined();
  });

  it('[R9] delivers nothing that waited, or was in flight, once it may not be told', async () => {
    const options = { clientId: 'waits', ...kept };
    const alice = await signIn('alice', options);
    alice.send(filters(1, 'Secret/#', 'Mark/m'));
    await alice.next('suback');
    await write('/Secret/flight', { text: HIDDEN });
    const inFlight = () => alice.received.some(({ cmd }) => cmd === 'publish');
    await until('what it does not acknowledge', () => !alice.ended && inFlight());
    alice.destroy();
    for (let n = 0; n < 5; n += 1) await write(`/Secret/queue${n}`, { text: HIDDEN });
    await mayAlice(GUEST);
    const back = await signIn('alice', options);
    expect(sessions.get(back)).toBe(true);
    expect(await toldUntilNow(back)).not.toContain(HIDDEN);
    // It subscribes anew, and shares what an allowed one follows.
    back.send(filters(3, 'Secret/#', '#', '$share/s/#'));
    await write('/Secret/flight', { text: HIDDEN });
    expect(await toldUntilNow(back)).not.toContain(HIDDEN);
  });

  // Sessions live on the one thread that owns the store.
  it.skipIf(threads === '1')(
    'sends again, after a start, no more than may be seen of what was in flight',
    async () => {
      await mayAlice({
        ...GUEST,
        Secret: { subscribe: true, filter: 'level=1', attributes: { level: { read: false } } },
      });
      const options = { clientId: 'starts', ...kept };
      const alice = await signIn('alice', options);
      alice.send(filters(1, 'Secret/#'));
      await alice.next('suback');
      await write('/Secret/start', { text: 'seen', level: 1 });
      for (;;) {
        const packet = await alice.next('publish');
        const text = packet?.payload.toString();
        if (packet?.topic !== 'Secret/start') continue;
        expect(JSON.parse(text ?? '')).toEqual({ id: 'start', text: 'seen' });
        break;
      }
      alice.destroy();
      await node.stop();
      const flags = ['--threads', threads];
      node = await startNode({ files: FILES, folder: node.folder, flags });
      const back = await signIn('alice', options);
      expect(sessions.get(back)).toBe(true);
      const again = await back.next('publish');
      expect(again?.dup).toBe(true);
      expect(JSON.parse(again?.payload.toString() ?? '')).toEqual({ id: 'start', text: 'seen' });
    },
  );
});

const sessions = new WeakMap<MqttPackets, boolean>();
