/**
 * What the runtime needs to know of one origin: `origins/NAME.yaml`, checked, with every default
 * filled in and every duration in milliseconds (`config/origin-file.ts` makes it).
 */
import type { AllowPrivate } from './address-guard.ts';

export interface OriginSettings {
  readonly name: string;
  readonly kind: string;
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Deadline of one attempt, milliseconds. */
  readonly timeout: number;
  readonly retries: number;
  readonly concurrency: number;
  /** Calls that may wait for a slot. */
  readonly queue: number;
  readonly breaker: { readonly failures: number; readonly cooldown: number };
  readonly health?: { readonly path: string; readonly every: number } | undefined;
  readonly feed?: ({ readonly kind: string } & Readonly<Record<string, unknown>>) | undefined;
  readonly allowPrivate: AllowPrivate;
  readonly bodyMax: number;
  /** Keys which only the kind knows. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** Limits of an origin whose file leaves them out. */
export const ORIGIN_DEFAULTS = {
  timeout: 10_000,
  retries: 2,
  concurrency: 32,
  queue: 1_024,
  breaker: { failures: 5, cooldown: 10_000 },
  allowPrivate: false,
  bodyMax: 8 * 1024 * 1024,
} as const;
