/**
 * Map layers, each one record: `land-110m`, the outline of the continents as rings of points (Natural
 * Earth by way of `world-atlas`), and `airports-v1`, every airport as a short row for drawing. They
 * never change under the same id, so their cache policy is `immutable`.
 */
import { createRequire } from 'node:module';

/** Nobody flies to Antarctica, and its outline is long. */
const SOUTH_END = -60;

/** `{ id, rings: [[longitude, latitude, longitude, latitude, …], …] }`, to a tenth of a degree. */
export function landShape() {
  const topology = createRequire(import.meta.url)('world-atlas/land-110m.json');
  const arcs = topology.arcs.map((arc) => decodeArc(arc, topology.transform));
  const rings = topology.objects.land.geometries
    .flatMap((geometry) => (geometry.type === 'Polygon' ? [geometry.arcs] : geometry.arcs))
    .flat()
    .map((indexes) => joinArcs(indexes, arcs))
    .filter((ring) => ring.some(([, latitude]) => latitude > SOUTH_END))
    .flatMap((ring) => withoutJumps(ring));
  return { id: 'land-110m', source: 'Natural Earth, public domain', rings };
}

/** `{ id, places: [[code, longitude, latitude, hub, city, name], …] }`. */
export function airportsShape(airports) {
  const places = [...airports.values()].map((airport) => [
    airport.id,
    airport.longitude,
    airport.latitude,
    airport.hub ? 1 : 0,
    airport.city,
    airport.name,
  ]);
  return { id: 'airports-v1', source: 'OpenFlights, ODbL', places };
}

/** TopoJSON keeps an arc as differences of whole numbers. */
function decodeArc(arc, { scale, translate }) {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
  });
}

/** A ring names its arcs in order; `~index` (negative) is the arc walked backwards. */
function joinArcs(indexes, arcs) {
  return indexes.flatMap((index, position) => {
    const arc = index < 0 ? [...arcs[~index]].reverse() : arcs[index];
    return position === 0 ? arc : arc.slice(1);
  });
}

/**
 * A ring that crosses the antimeridian goes on beyond 180 degrees instead of jumping to the other
 * side, and is given a second time a whole turn away; who draws it cuts both at the map's edge.
 */
function withoutJumps(ring) {
  let [turn, before] = [0, ring[0][0]];
  const points = ring.map(([longitude, latitude]) => {
    if (Math.abs(longitude - before) > 180) turn += longitude < before ? 360 : -360;
    before = longitude;
    return [longitude + turn, latitude];
  });
  const beyond = points.find(([longitude]) => Math.abs(longitude) > 180.01);
  if (beyond === undefined) return [flat(points, 0)];
  return [flat(points, 0), flat(points, beyond[0] > 0 ? -360 : 360)];
}

function flat(points, shift) {
  return points.flatMap(([x, y]) => [Number((x + shift).toFixed(1)), Number(y.toFixed(1))]);
}
