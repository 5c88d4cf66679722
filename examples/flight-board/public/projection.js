/**
 * The Natural Earth projection (Tom Patterson; polynomial by Šavrič, Jenny and others, 2011), and
 * the view that places it on a canvas: what is drawn where, at which magnification.
 */
const RADIANS = Math.PI / 180;
const WIDTH = 2 * 2.7353;
/** Nothing flies south of this; leaving Antarctica out gives the rest more room. */
const [SOUTH, NORTH] = [-1.02, 1.31];
const WIDTH_SHARE = 0.8;
const ZOOM_MAX = 8;

/** Longitude and latitude in degrees to the plane: x in ±2.74, y in ±1.42, north up. */
export function project(longitude, latitude) {
  const phi = latitude * RADIANS;
  const p2 = phi * phi;
  const p4 = p2 * p2;
  const x = 0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4));
  const y = 1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4));
  return [longitude * RADIANS * x, phi * y];
}

export class View {
  width = 1;
  height = 1;
  zoom = 1;
  /** Rises with every change, so that drawn layers know when they are out of date. */
  version = 0;
  #centre = [0.1, 0.3];

  resize(width, height) {
    this.width = width;
    this.height = height;
    this.#settle();
  }

  /** Pixels a unit of the plane: at zoom 1 all latitudes are seen, and most of the width is used. */
  get scale() {
    return this.zoom * Math.max((WIDTH_SHARE * this.width) / WIDTH, this.height / (NORTH - SOUTH));
  }

  x(planeX) {
    return this.width / 2 + (planeX - this.#centre[0]) * this.scale;
  }

  y(planeY) {
    return this.height / 2 - (planeY - this.#centre[1]) * this.scale;
  }

  pan(dx, dy) {
    this.#centre = [this.#centre[0] - dx / this.scale, this.#centre[1] + dy / this.scale];
    this.#settle();
  }

  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const before = this.scale;
    this.zoom = Math.min(ZOOM_MAX, Math.max(1, this.zoom * factor));
    // The point under the pointer stays where it is.
    const kept = 1 / before - 1 / this.scale;
    this.#centre = [
      this.#centre[0] + (x - this.width / 2) * kept,
      this.#centre[1] - (y - this.height / 2) * kept,
    ];
    this.#settle();
  }

  lookAt([planeX, planeY]) {
    this.#centre = [planeX, planeY];
    this.#settle();
  }

  #settle() {
    const [halfWidth, halfHeight] = [this.width / 2 / this.scale, this.height / 2 / this.scale];
    const [x, y] = this.#centre;
    this.#centre = [
      clamp(x, -WIDTH / 2 + halfWidth, WIDTH / 2 - halfWidth),
      clamp(y, SOUTH + halfHeight, NORTH - halfHeight),
    ];
    this.version += 1;
  }
}

function clamp(value, low, high) {
  return low > high ? (low + high) / 2 : Math.min(high, Math.max(low, value));
}
