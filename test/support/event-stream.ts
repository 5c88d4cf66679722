/** Event streams of a node, as text: what a test reads of one before it leaves. */
import type { NodeProcess } from './node-process.ts';

/** Reads blocks of an event stream until `enough`, then leaves. */
export async function stream(
  node: NodeProcess,
  target: string,
  lastEventId: string | undefined,
  enough: (blocks: readonly string[]) => boolean,
): Promise<readonly string[]> {
  const leave = new AbortController();
  const response = await node.fetch(target, {
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: leave.signal,
  });
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream')) throw new Error(`${response.status} ${type}`);
  let text = '';
  const blocks = () =>
    text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => block.includes('data: '));
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (enough(blocks())) break;
  }
  leave.abort();
  return blocks();
}
