/**
 * The conformance suite of the HTTP port: each engine must pass all of it. Where engines may
 * differ, the difference is a field of `Abilities`, so that it is written down and checked too.
 */
import { describe } from 'vitest';
import type { HttpEngine } from '../../../src/protocols/http/port.ts';
import { describeBodies } from './bodies.ts';
import { describeFraming } from './framing.ts';
import { describeInterims } from './interims.ts';
import { describeLifecycle } from './lifecycle.ts';
import { describeMessages } from './messages.ts';
import { describeSockets } from './sockets.ts';
import { describeStreams } from './streams.ts';
import { describeUploads } from './uploads.ts';

export interface Abilities {
  readonly chunkedUploads: boolean;
  /** Pipelined behind a pending reply: answered in order, or the connection is closed. */
  readonly pipelinesBehindPending: boolean;
  /**
   * Methods outside of RFC 9110 and PATCH reach the handler; otherwise the connection is closed.
   */
  readonly otherMethods: boolean;
  /** 100 is sent only when the handler asks for the body. */
  readonly continuesWhenAsked: boolean;
  /** An interim response leaves at once; otherwise with the head of the answer. */
  readonly interimsAtOnce: boolean;
}

const abilities: Record<HttpEngine, Abilities> = {
  uws: {
    chunkedUploads: false,
    pipelinesBehindPending: false,
    otherMethods: false,
    continuesWhenAsked: false,
    interimsAtOnce: false,
  },
  node: {
    chunkedUploads: true,
    pipelinesBehindPending: true,
    otherMethods: true,
    continuesWhenAsked: true,
    interimsAtOnce: true,
  },
};

export function describeHttpPort(engine: HttpEngine): void {
  describe(`the HTTP port on ${engine}`, () => {
    describeMessages(engine, abilities[engine]);
    describeBodies(engine, abilities[engine]);
    describeInterims(engine, abilities[engine]);
    describeStreams(engine);
    describeUploads(engine, abilities[engine]);
    describeFraming(engine, abilities[engine]);
    describeSockets(engine);
    describeLifecycle(engine);
  });
}
