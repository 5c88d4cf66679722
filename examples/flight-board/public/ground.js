/**
 * The quiet part of the map: sea, graticule, land, and the night side of the earth. Pure drawing;
 * everything it needs is given.
 */
import { project } from './projection.js';

const RADIANS = Math.PI / 180;
const DAY_MS = 86_400_000;
/** How many steps the twilight is drawn in, and how many degrees each is deep. */
const TWILIGHT = [0, 2, 4, 6, 9, 12];

/** The outline of the whole earth on the canvas, for clipping. */
export function earthOutline(view) {
  const outline = new Path2D();
  trace(outline, view, EARTH);
  return outline;
}

/** Sea, graticule and land. `rings` may still be on its way. */
export function drawLand(context, view, rings, colours) {
  const outline = earthOutline(view);
  context.fillStyle = colours.sea;
  context.fill(outline);
  context.save();
  context.clip(outline);
  context.lineWidth = 1;
  context.lineJoin = 'round';
  context.strokeStyle = colours.grid;
  context.stroke(graticule(view));
  if (rings !== undefined) {
    const land = new Path2D();
    for (const ring of rings) trace(land, view, ring);
    context.fillStyle = colours.land;
    context.fill(land);
    context.strokeStyle = colours.coast;
    context.stroke(land);
  }
  context.restore();
}

function graticule(view) {
  const lines = new Path2D();
  for (let longitude = -180; longitude <= 180; longitude += 30) {
    trace(lines, view, meridian(longitude));
  }
  for (let latitude = -60; latitude <= 75; latitude += 15) trace(lines, view, parallel(latitude));
  return lines;
}

/** Shades the side of the earth away from the sun, deeper towards full night. */
export function drawNight(context, view, instant, colour) {
  if (!(instant > 0)) return;
  const sun = subsolarPoint(instant);
  context.fillStyle = colour;
  for (const depth of TWILIGHT) {
    context.beginPath();
    trace(context, view, nightRing(sun, depth * RADIANS));
    context.fill();
  }
}

/** Where the sun stands overhead. Good to a degree or two, which is all that can be seen here. */
function subsolarPoint(instant) {
  const yearStart = Date.UTC(new Date(instant).getUTCFullYear(), 0, 1);
  const dayOfYear = (instant - yearStart) / DAY_MS;
  const declination = -23.44 * Math.cos(((dayOfYear + 10) / 365.25) * 2 * Math.PI);
  return { longitude: 180 - ((instant % DAY_MS) / DAY_MS) * 360, declination };
}

/** The places where the sun is more than `depth` (radians) below the horizon, as one ring. */
function nightRing({ longitude, declination }, depth) {
  const [south, north] = [[], []];
  for (let step = -180; step <= 180; step += 2) {
    const [low, high] = darkPart((step - longitude) * RADIANS, declination * RADIANS, depth);
    south.push(step, low);
    north.unshift(step, high);
  }
  return [...south, ...north];
}

/** The dark part of one meridian, as two latitudes in degrees; equal where there is none. */
function darkPart(hour, declination, depth) {
  // sin(altitude) = level·cos(latitude) + tilt·sin(latitude) = reach·cos(latitude − turn)
  const [level, tilt] = [Math.cos(declination) * Math.cos(hour), Math.sin(declination)];
  const sine = -Math.sin(depth) / Math.hypot(level, tilt);
  if (sine < -1) return [-declination / RADIANS, -declination / RADIANS];
  const turn = Math.atan2(tilt, level) / RADIANS;
  const middle = turn > 0 ? turn - 360 : turn;
  const swing = Math.acos(sine) / RADIANS;
  const within = (latitude) => Math.max(-89.9, Math.min(89.9, latitude));
  return [within(middle + swing), within(middle + 360 - swing)];
}

function trace(context, view, places) {
  for (let index = 0; index < places.length; index += 2) {
    const [x, y] = project(places[index], places[index + 1]);
    if (index === 0) context.moveTo(view.x(x), view.y(y));
    else context.lineTo(view.x(x), view.y(y));
  }
}

const EARTH = [...meridian(-180), ...range(-90, 90, 5).flatMap((latitude) => [180, -latitude])];

function meridian(longitude) {
  return range(-90, 90, 5).flatMap((latitude) => [longitude, latitude]);
}

function parallel(latitude) {
  return range(-180, 180, 10).flatMap((longitude) => [longitude, latitude]);
}

function range(from, to, step) {
  return Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step);
}
