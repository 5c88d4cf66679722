/**
 * Waits for a condition as long as a busy machine may take: `vi.waitUntil` by itself gives up
 * after a second, which a machine that does other work besides can stand still for.
 */
import { until } from './node-process.ts';

export async function holds(condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(`${condition}`, condition);
}
