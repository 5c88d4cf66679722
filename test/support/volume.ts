/**
 * How much a test of volume does. By default enough to tell a leak from noise; all of it with
 * `MILLRACE_LONG_TESTS=1`, which a nightly run sets.
 */
const isLong = process.env.MILLRACE_LONG_TESTS === '1';

export const volume = (usual: number, long: number): number => (isLong ? long : usual);
