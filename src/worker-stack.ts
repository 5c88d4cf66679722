/**
 * Where another thread stands just now, asked through the debugger, which interrupts even a loop
 * that never ends. The main thread can be asked by any other, workers only by the main thread.
 * Whoever was asked stands still from then on: this is for the end.
 */
import { writeSync } from 'node:fs';
import { type Debugger, Session } from 'node:inspector';

const FRAMES_MAX = 12;
const STDERR = 2;
/** Time for a stack to be told, milliseconds. */
export const STACK_WAIT_MS = 400;

interface Message {
  readonly method?: string;
  readonly params?: unknown;
}

/** A thread whose event loop stands still. */
export interface StuckThread {
  /** Name of the node. */
  readonly name: string;
  readonly thread: number;
  readonly seconds: number;
}

/** Frames, the innermost first; `undefined` when nothing was told in time. */
export type Stack = readonly string[] | undefined;

/** The session stays open, and with it the thread stands still. */
export function stackOfMain(session: Session, waitMs: number): Promise<Stack> {
  session.connectToMainThread();
  return told(waitMs, (reader) => askMain(session, reader));
}

/** For the main thread only. `nodeThread`: Node's number of the worker. */
export function stackOfWorker(nodeThread: number, waitMs: number): Promise<Stack> {
  const session = new Session();
  session.connect();
  return told(waitMs, (reader) => askWorker(session, nodeThread, reader));
}

/** At once and past every buffer: nothing comes after it. */
export function writeStuck({ name, thread, seconds }: StuckThread, stack: Stack): void {
  const where = stack === undefined ? '' : `; it stood at ${stack[0] ?? 'nothing'}`;
  const text = `the event loop of thread ${thread} stood still for ${seconds} s, the process ends`;
  const facts = { level: 60, time: new Date().toISOString(), name, thread, stack };
  writeSync(STDERR, `${JSON.stringify({ ...facts, msg: text + where })}\n`);
}

function told(waitMs: number, ask: (reader: FrameReader) => void): Promise<Stack> {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(undefined), waitMs);
    const reader = new FrameReader((frames) => {
      clearTimeout(late);
      resolve(frames);
    });
    ask(reader);
  });
}

function askMain(session: Session, reader: FrameReader): void {
  session.on('inspectorNotification', (message: Message) => reader.hear(message));
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

function askWorker(session: Session, nodeThread: number, reader: FrameReader): void {
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    // `workerId` counts attachments; the thread's own number stands in the title.
    if (!workerInfo.title.startsWith(`[worker ${nodeThread}]`)) return;
    for (const [id, method] of ['Debugger.enable', 'Debugger.pause'].entries()) {
      const message = JSON.stringify({ id, method });
      session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
    }
  });
  session.on('NodeWorker.receivedMessageFromWorker', ({ params: { message } }) =>
    reader.hear(JSON.parse(message) as Message),
  );
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
}

/** Collects the names of scripts, which frames give by number only, until the thread has paused. */
class FrameReader {
  readonly #scripts = new Map<string, string>();
  readonly #told: (frames: readonly string[]) => void;

  constructor(told: (frames: readonly string[]) => void) {
    this.#told = told;
  }

  hear({ method, params }: Message): void {
    if (method === 'Debugger.scriptParsed') {
      const { scriptId, url } = params as Debugger.ScriptParsedEventDataType;
      this.#scripts.set(scriptId, url);
    } else if (method === 'Debugger.paused') {
      const { callFrames } = params as Debugger.PausedEventDataType;
      this.#told(callFrames.slice(0, FRAMES_MAX).map((frame) => this.#text(frame)));
    }
  }

  #text({ functionName, location }: Debugger.CallFrame): string {
    const { scriptId, lineNumber, columnNumber = 0 } = location;
    const name = functionName === '' ? '(anonymous)' : functionName;
    return `${name} (${this.#scripts.get(scriptId) ?? ''}:${lineNumber + 1}:${columnNumber + 1})`;
  }
}
