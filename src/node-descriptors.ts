/**
 * Whether descriptors run short: every connection is one, and so are the files of the store and the
 * calls to origins, which must not fail because strangers hold them all. Above the mark nobody new
 * is accepted until there is room again. It also bounds connections on an engine that hides them.
 */
import { readdirSync } from 'node:fs';
import { type ReadKernelFile, readKernelFile } from './node-memory.ts';

/** Below the mark by so many, or by half of the room, before anybody is accepted again. */
const HYSTERESIS = 16;
const FOLDER = '/proc/self/fd';

export interface DescriptorLimits {
  readonly connectionsMax: number;
  readonly descriptorsReserved: number;
}

/** Open descriptors; `exhausted` when not even this can be asked, `undefined` off Linux. */
export function openDescriptors(): number | 'exhausted' | undefined {
  try {
    return readdirSync(FOLDER).length;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' || code === 'ENFILE' ? 'exhausted' : undefined;
  }
}

/** What the system allows; `undefined` where it does not say. */
export function descriptorsMax(read: ReadKernelFile = readKernelFile): number | undefined {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits') ?? '') ?? [];
  return soft === undefined ? undefined : Number(soft);
}

/** Descriptors the node will open for itself between its start and its first request, at most. */
const START_COUNT = 48;

/** How many connections there is room for besides what the node needs for itself. */
export function connectionRoom(reserved: number): number | undefined {
  const max = descriptorsMax();
  const own = openDescriptors();
  if (max === undefined || typeof own !== 'number') return undefined;
  return Math.max(8, max - reserved - own - START_COUNT);
}

export class DescriptorWatch {
  readonly mark: number;
  /** Below it there is room again. */
  readonly #roomy: number;
  #tight = false;

  /** `ownCount`: those which the node holds for itself. */
  constructor(max: number, ownCount: number, limits: DescriptorLimits) {
    const { descriptorsReserved: reserved, connectionsMax } = limits;
    // A limit below the reserve leaves a few to clients all the same.
    const byLimit = Math.max(ownCount + 8, max - reserved);
    // The node opens more for itself after its start: clients' places are none of those.
    this.mark = Math.min(byLimit, ownCount + START_COUNT + connectionsMax);
    this.#roomy = this.mark - Math.min(HYSTERESIS, Math.ceil((this.mark - ownCount) / 2));
  }

  /** Takes a count and says whether new connections have to wait. */
  isTight(open: number | 'exhausted'): boolean {
    if (open === 'exhausted') this.#tight = true;
    else if (open >= this.mark) this.#tight = true;
    else if (open < this.#roomy) this.#tight = false;
    return this.#tight;
  }
}
