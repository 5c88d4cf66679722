/**
 * Replication of one node: puts its parts together and is all that the assembly sees of them. It
 * owns the connections, the peers and the members, and the one timer that looks at what time has
 * brought. `SPEC.md` describes the whole.
 */
import { durationMs, type Sequence } from '../base/brands.ts';
import type { Cancel } from '../base/clock.ts';
import type { Confirmation } from '../table/confirmation.ts';
import { Absence } from './absence.ts';
import { objectionTo, probe, rivalsOf } from './admission.ts';
import { Announcements } from './announcements.ts';
import { ApplyQueue } from './apply-queue.ts';
import { type BackboneLine, newBackbone } from './backbone.ts';
import { BOUNDS } from './bounds.ts';
import { ClockGuard } from './clock-guard.ts';
import { cursorOf, NO_CURSORS } from './cursors.ts';
import { type BodyFetcher, newBodyFetcher } from './fetch-bodies.ts';
import { type ByeCode, type HelloFrame, type Member, PROTOCOL, PROTOCOL_OLDEST } from './frames.ts';
import { Joining } from './joining.ts';
import { tableNotes } from './jumps.ts';
import { Membership } from './membership.ts';
import { NameGuard } from './name-guard.ts';
import type { ReplicationEvents, ReplicatorOptions } from './options.ts';
import type { Peer } from './peer.ts';
import { Peers } from './peers.ts';
import type { ChangeLink, InvalidationItem } from './ports.ts';
import { AheadSet } from './purges.ts';
import { Redial } from './redial.ts';
import type { Holdings } from './selection.ts';
import { Session, type SessionOwner, type ToldFrame } from './session.ts';
import { Shield } from './shield.ts';
import { type ReplicationStatus, statusOf } from './status.ts';

export class Replicator {
  readonly counts = { framesRefused: 0, nodesRefused: 0, purges: 0 };
  /** Caches of other nodes; absent when this node shows none of its own. */
  readonly shield: Shield | undefined;
  readonly #bodies: BodyFetcher | undefined;
  readonly #options: ReplicatorOptions;
  readonly #events: ReplicationEvents;
  readonly #queue: ApplyQueue;
  readonly #ahead = new AheadSet();
  readonly #announcements: Announcements;
  readonly #membership: Membership;
  readonly #absence: Absence;
  readonly #joining: Joining;
  readonly #clockGuard: ClockGuard;
  readonly #nameGuard: NameGuard;
  readonly #redial: Redial;
  readonly #peers: Peers;
  readonly #backbone: BackboneLine | undefined;
  readonly #sessions = new Set<Session>();
  /** The address that a connection was made to. */
  readonly #dialled = new Map<Session, string>();
  readonly #owner: SessionOwner;
  readonly #offHorizon: () => void;
  #tick: Cancel | undefined;
  #beatAt = 0;
  #isRaising = false;
  #isStopped = false;

  constructor(options: ReplicatorOptions) {
    const { store, clock, random, dial } = options;
    this.#options = options;
    this.#events = options.events ?? {};
    this.#queue = new ApplyQueue(store, this.#ahead, (error) => this.#failed(error));
    const parts = { store, clock, queue: this.#queue };
    this.#peers = this.#newPeers();
    this.#announcements = new Announcements({
      ...parts,
      ahead: this.#ahead,
      peers: this.#peers.byName,
    });
    this.#membership = this.#newMembership();
    const hasOthers = this.#membership.hasOthers || options.backbone !== undefined;
    this.#absence = new Absence({ store, hasOthers, keep: (notes) => this.#keep(notes) });
    const wasAway = this.#absence.isLong;
    this.#joining = new Joining(store, clock, { hasOthers, wasAway });
    if (wasAway) this.#events.wasAway?.(undefined);
    this.#clockGuard = new ClockGuard(store, this.#events, () => this.#restart());
    const now = () => clock.monotonic();
    this.#nameGuard = new NameGuard({ name: options.name, store, events: this.#events, now });
    this.shield = this.#newShield();
    this.#bodies = newBodyFetcher(options, this.#peers.byName);
    const own = () => this.#holdings();
    const around = { queue: this.#queue, own, peers: this.#peers, membership: this.#membership };
    this.#backbone = newBackbone(options, around);
    this.#owner = this.#sessionOwner();
    this.#redial = new Redial({
      ...{ dial, clock, random },
      urls: () => this.#membership.urlsToDial,
      isHeard: (name) => this.#peers.byName.get(name)?.isHeard(clock.monotonic()) === true,
      opened: (link, url) => this.#connect(link, url),
    });
    this.#offHorizon = store.onHorizon(() => this.#moved());
    this.#noteTables();
    this.#membership.declareSelf();
    this.#schedule();
  }

  /** A connection that another node opened. */
  accept(link: ChangeLink): void {
    if (this.#isStopped) link.close('this node is stopping');
    else this.#connect(link, undefined);
  }

  /** Ready for clients: what others had when it began is here. */
  get isCaughtUp(): boolean {
    return !this.#joining.isJoining;
  }

  get members(): readonly Member[] {
    return this.#membership.all;
  }

  /** Names of the nodes that this one is connected to, and its own: who may be a record's home. */
  get liveNames(): readonly string[] {
    return [this.#options.name, ...this.#peers.connectedNames].sort();
  }

  /** Adds a node by its address, as `add_node` does; the name is learned when it answers. */
  addMember(name: string, urls: readonly string[]): void {
    this.#membership.declare(name, urls, false);
  }

  /** A node will not come back; a connection to it is ended. */
  removeMember(name: string): void {
    const urls = this.#membership.of(name)?.urls ?? [];
    this.#membership.declare(name, urls, true);
    for (const session of [...(this.#peers.byName.get(name)?.sessions ?? [])]) {
      session.dismiss('NOT_A_MEMBER', `${name} was removed from the cluster`);
    }
  }

  /**
   * Tells all connected nodes of an invalidation that this node has committed, ahead of what else
   * they are owed. Resolves when all members have confirmed, or with who has not by the deadline.
   */
  announcePurge(item: InvalidationItem, timeMs: number): Promise<Confirmation> {
    this.counts.purges += 1;
    return this.#announcements.purge(item, this.#membership.otherNames, timeMs);
  }

  /** Resolves when so many others have this node's changes up to `place`, or time is up. */
  confirmations(
    place: Sequence,
    least: number,
    timeMs: number,
    names: readonly string[] = this.#membership.otherNames,
  ): Promise<Confirmation> {
    return this.#announcements.places(place, names, least, timeMs);
  }

  /** Has every pull compare digests as soon as it is at the end. */
  verify(): void {
    for (const { puller } of this.#peers.byName.values()) puller.verifySoon();
  }

  status(): ReplicationStatus {
    const { name, store, clock } = this.#options;
    return statusOf({
      ...{ name, store, now: clock.monotonic() },
      ...{
        members: this.#membership.all,
        peers: this.#peers.byName,
        failures: this.#redial.failures,
      },
      isJoining: this.#joining.isJoining,
      ...{ clockAheadMs: this.#clockGuard.aheadMs, isNameTaken: this.#nameGuard.isTaken },
      counts: { ...this.counts, ...this.shield?.counts, ...this.#bodies?.counts },
      bodiesMissing: this.#bodies?.missing ?? 0,
      backbone: this.#backbone?.status,
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#tick?.();
    this.#offHorizon();
    this.#redial.stop();
    this.#announcements.stop();
    this.#backbone?.stop();
    this.shield?.stop();
    this.#bodies?.stop();
    for (const session of [...this.#sessions]) session.dismiss('LEAVING', 'this node stops', 0);
  }

  #newPeers(): Peers {
    const { name, store, clock, random } = this.#options;
    return new Peers({
      ...{ name, store, clock, random, queue: this.#queue, own: () => this.#holdings() },
      raising: (run) => this.#raising(run),
      equal: (peer, tables, at) => this.#absence.equalWith(peer, tables, at),
      told: () => this.#backbone?.told ?? new Set(),
      events: this.#events,
    });
  }

  #newMembership(): Membership {
    const { store, name, urls, peers } = this.#options;
    return new Membership({
      ...{ store, name, urls, peers, queue: this.#queue },
      notes: () => this.#joining.notes,
      changed: () => this.#tellMembers(undefined),
      removed: () => this.#events.removed?.(),
    });
  }

  #newShield(): Shield | undefined {
    const { name, store, clock, shield } = this.#options;
    if (shield === undefined) return undefined;
    const parts = { name, store, clock, queue: this.#queue, ahead: this.#ahead };
    const [own, isCaughtUp] = [() => this.#holdings(), () => this.isCaughtUp];
    return new Shield({ ...parts, peers: this.#peers.byName, own, isCaughtUp }, shield);
  }

  #noteTables(): void {
    const notes = tableNotes(this.#options.store);
    if (notes !== undefined) this.#keep(notes);
  }

  #keep(notes: Readonly<Record<string, unknown>>): void {
    this.#queue.apply({ items: [], cursors: NO_CURSORS, notes }).catch(() => undefined);
  }

  #learn(told: readonly Member[], from: Session): void {
    if (this.#membership.learn(told)) this.#tellMembers(from);
  }

  #tellMembers(except: Session | undefined): void {
    const members = this.#membership.all;
    this.#announcements.broadcast((session) => {
      if (session !== except) session.send({ kind: 'members', members });
    });
  }

  // Connections ----------------------------------------------------------------------------------

  #connect(link: ChangeLink, url: string | undefined): void {
    const { clock, store } = this.#options;
    const session = new Session({
      ...{ link, clock, owner: this.#owner },
      server: {
        ...{ store, own: () => this.#holdings() },
        isSource: () => !this.#joining.isJoining,
        isRaising: () => this.#isRaising,
      },
    });
    this.#sessions.add(session);
    if (url !== undefined) this.#dialled.set(session, url);
    session.begin();
  }

  #holdings(): Holdings {
    return { tables: this.#options.store.tables(), selection: this.#options.selection };
  }

  #hello(): HelloFrame {
    const { name, cluster, instance, selection, store } = this.#options;
    return {
      ...{ kind: 'hello', protocol: PROTOCOL, oldest: PROTOCOL_OLDEST },
      ...{ cluster, name, author: store.author, instance, now: store.now() },
      ...{ tables: store.tables(), selection, members: this.#membership.all },
      ...{ joining: this.#joining.isJoining, published: this.#backbone?.published },
    };
  }

  #sessionOwner(): SessionOwner {
    return {
      hello: () => this.#hello(),
      isJoining: () => this.#joining.isJoining,
      pulse: ({ author }) => {
        const { sequence: last, cursors } = this.#options.store.horizon();
        const { published } = this.#backbone ?? {};
        return { last, cursor: cursorOf(cursors, author), published };
      },
      met: (session) => this.#met(session),
      told: (session, frame) => this.#told(session, frame),
      confirmed: (session) => this.#announcements.confirmed(session),
      dismissed: (session, code, message, retryMs) => {
        const url = this.#dialled.get(session);
        if (url !== undefined) this.#redial.ended(url, `${code}: ${message}`, retryMs);
        if (code === 'SELF') return;
        this.#nameGuard.dismissed(session.link.peer, code);
        this.#events.dismissed?.(session.link.peer, code, message);
      },
      refused: (session, why) => {
        this.counts.framesRefused += 1;
        this.#events.refused?.(session.link.peer, why);
      },
      gone: (session, why) => this.#gone(session, why),
    };
  }

  #met(session: Session): void {
    const hello = session.peer;
    if (hello === undefined) return;
    const objection = objectionTo(hello, this.#hello(), session.link.peer);
    if (objection !== undefined) {
      this.#dismiss(session, objection.code, objection.message);
      return;
    }
    this.#learn(hello.members, session);
    if (this.#membership.of(hello.name)?.isLeft === true) {
      this.#dismiss(session, 'NOT_A_MEMBER', `${hello.name} was removed; add it anew to let it in`);
      return;
    }
    const rivals = () => rivalsOf(session, this.#ready());
    if (rivals().length === 0) this.#admit(session);
    else probe(this.#options.clock, rivals, (answered) => this.#decide(session, answered));
  }

  /** The name is taken by who has answered; who has not makes room. */
  #decide(session: Session, answered: readonly Session[]): void {
    if (session.state !== 'waiting') return;
    if (answered.length > 0) {
      const message =
        `another node named ${session.peer?.name} is connected and well; ` +
        'give one of them another name, or stop one';
      this.#dismiss(session, 'DUPLICATE_NODE', message);
      return;
    }
    for (const rival of rivalsOf(session, this.#ready())) {
      rival.dismiss('STALLED', 'another run of this node came, and this one did not answer', 0);
    }
    this.#admit(session);
  }

  #dismiss(session: Session, code: ByeCode, message: string): void {
    const url = this.#dialled.get(session);
    if (url !== undefined) this.#redial.ended(url, `${code}: ${message}`, BOUNDS.refusedMs);
    if (code !== 'SELF') {
      this.counts.nodesRefused += 1;
      this.#events.dismissed?.(session.link.peer, code, message);
    }
    session.dismiss(code, message);
  }

  #admit(session: Session): void {
    const name = session.peer?.name;
    if (name === undefined) return;
    const url = this.#dialled.get(session);
    if (url !== undefined) this.#redial.met(url, name);
    const peer = this.#peers.named(name);
    session.admit();
    if (!session.isReady) return;
    if (!peer.isConnected) this.#events.connected?.(name);
    peer.add(session);
    const oldest = peer.sessions.length > BOUNDS.sessionsOfPeer ? peer.sessions[0] : undefined;
    oldest?.dismiss('SPARE', 'there are newer connections', 0);
  }

  #gone(session: Session, why: string): void {
    this.#sessions.delete(session);
    this.shield?.gone(session);
    const url = this.#dialled.get(session);
    this.#dialled.delete(session);
    if (url !== undefined) this.#redial.ended(url, why, 0);
    const peer = this.#peers.byName.get(session.peer?.name ?? '');
    if (peer?.sessions.includes(session) !== true) return;
    peer.remove(session);
    if (!peer.isConnected) this.#events.disconnected?.(peer.name, why);
  }

  #told(session: Session, frame: ToldFrame): void {
    const puller = this.#peers.byName.get(session.peer?.name ?? '')?.puller;
    switch (frame.kind) {
      case 'begin':
        if (puller?.session === session) puller.began(frame);
        break;
      case 'batch':
        if (puller?.session === session) puller.batch(frame);
        break;
      case 'restart':
        if (puller?.session === session) puller.restarted(frame);
        break;
      case 'purge':
        this.#announcements.heard(session, frame.item);
        break;
      case 'purged':
        this.#announcements.purged(session, frame);
        break;
      case 'miss':
      case 'missHeard':
      case 'record':
        this.shield?.told(session, frame);
        break;
      case 'members':
        this.#learn(frame.members, session);
        break;
    }
  }

  // Pulls ----------------------------------------------------------------------------------------

  /**
   * [SPEC §4] A snapshot ends: cursors rise for which no entry stands behind the streams that are
   * served. They are ended before, so that none of them tells of those cursors.
   */
  async #raising<T>(run: () => Promise<T>): Promise<T> {
    this.#isRaising = true;
    this.#restart();
    try {
      return await run();
    } finally {
      this.#isRaising = false;
      this.#peers.snapshotEnded();
    }
  }

  #restart(): void {
    for (const session of this.#sessions) session.server?.restart();
  }

  #joinEnded(): void {
    if (!this.#joining.isJoining) return;
    this.#joining.end((notes) => this.#keep(notes));
    this.#events.caughtUp?.();
  }

  #moved(): void {
    for (const session of this.#sessions) session.server?.pump();
    this.#backbone?.pump();
  }

  #failed(error: unknown): void {
    this.#events.failed?.(error);
    for (const session of [...this.#sessions]) {
      session.dismiss('STALLED', 'the store of this node failed', BOUNDS.refusedMs);
    }
  }

  // Time -----------------------------------------------------------------------------------------

  #schedule(): void {
    this.#tick = this.#options.clock.after(durationMs(BOUNDS.tickMs), () => {
      this.#lookAround();
      if (!this.#isStopped) this.#schedule();
    });
  }

  #lookAround(): void {
    const now = this.#options.clock.monotonic();
    for (const session of [...this.#sessions]) session.lookAround(now);
    if (now >= this.#beatAt) {
      this.#beatAt = now + BOUNDS.beatMs;
      this.#beat();
    }
    this.#backbone?.tick(now);
    this.#peers.tick(now);
    this.#absence.tick(now);
    this.#bodies?.tick();
    this.#bootstrap();
    // Who has not decided yet does not echo.
    this.#nameGuard.tick(this.#ready().some(({ echoedAt }) => echoedAt >= 0));
    this.#redial.tick();
  }

  #beat(): void {
    for (const session of this.#ready()) {
      session.server?.pump(false);
      session.heartbeat();
    }
    this.#clockGuard.watch(this.#peers.offsets);
  }

  #ready(): Session[] {
    return [...this.#sessions].filter(({ isReady }) => isReady);
  }

  #bootstrap(): void {
    if (!this.#joining.isJoining) return;
    const others = this.#ready().map(({ peer, peerJoining: isJoining }) => {
      return { name: peer?.name ?? '', isJoining };
    });
    this.#joining.reaches(others.length);
    const { whole } = this.#peers;
    if (whole !== undefined && this.#absence.isLong) this.#putRight(whole);
    else if (whole !== undefined || this.#joining.isFirstOf(this.#options.name, others)) {
      this.#absence.over();
      this.#joinEnded();
    }
  }

  /** [SPEC §8] Drops what was deleted while this node was away, by what one knows who was not. */
  #putRight({ name, session, puller }: Peer): void {
    if (session === undefined) return;
    this.#absence.end(name, session, puller.pageParts()).then(
      (dropped) => {
        if (dropped === undefined) return;
        this.#events.wasAway?.(dropped);
        this.#joinEnded();
      },
      (error: unknown) => this.#events.failed?.(error),
    );
  }
}

export const createReplicator = (options: ReplicatorOptions): Replicator => new Replicator(options);
