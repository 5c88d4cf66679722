/**
 * Shortest ways over a sphere. Places are `[longitude, latitude]` in degrees, distances kilometres.
 */
const EARTH_RADIUS_KM = 6371;
const RADIANS = Math.PI / 180;

function vector([longitude, latitude]) {
  const level = Math.cos(latitude * RADIANS);
  return [
    level * Math.cos(longitude * RADIANS),
    level * Math.sin(longitude * RADIANS),
    Math.sin(latitude * RADIANS),
  ];
}

function angleBetween(a, b) {
  const cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  return Math.acos(Math.min(1, Math.max(-1, cosine)));
}

export const distanceKm = (from, to) => EARTH_RADIUS_KM * angleBetween(vector(from), vector(to));

/** The place at `fraction` (0 to 1) of the way. */
export function placeAlong(from, to, fraction) {
  const [a, b] = [vector(from), vector(to)];
  const angle = angleBetween(a, b);
  if (angle < 1e-9) return from;
  const [near, far] = [Math.sin((1 - fraction) * angle), Math.sin(fraction * angle)];
  const [x, y, z] = a.map((value, axis) => (value * near + b[axis] * far) / Math.sin(angle));
  return [Math.atan2(y, x) / RADIANS, Math.atan2(z, Math.hypot(x, y)) / RADIANS];
}

/** Compass direction, 0 to 360, in which the way leaves `from`. */
export function bearing(from, to) {
  const turn = (to[0] - from[0]) * RADIANS;
  const [a, b] = [from[1] * RADIANS, to[1] * RADIANS];
  const east = Math.sin(turn) * Math.cos(b);
  const north = Math.cos(a) * Math.sin(b) - Math.sin(a) * Math.cos(b) * Math.cos(turn);
  return (Math.atan2(east, north) / RADIANS + 360) % 360;
}
