/**
 * Pointer, pinch and keyboard for the map. Dragging moves it, two fingers or the buttons zoom, a
 * click chooses the flight or the airport under the pointer.
 */
const CLICK_PIXELS = 5;
const KEY_PAN_PIXELS = 60;
const ZOOM_STEP = 1.5;

export function attachMapControls({ canvas, zoomIn, zoomOut }, map, actions) {
  const pointers = new Map();
  let travelled = 0;

  const point = (event) => ({ x: event.offsetX, y: event.offsetY });
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  canvas.addEventListener('pointerdown', (event) => {
    pointers.set(event.pointerId, point(event));
    if (pointers.size === 1) travelled = 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    const now = point(event);
    map.hover = event.pointerType === 'mouse' ? now : undefined;
    if (before === undefined) return;
    const wide = pointers.size === 2 ? spread() : 0;
    pointers.set(event.pointerId, now);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    travelled += Math.abs(dx) + Math.abs(dy);
    map.view.pan(dx / pointers.size, dy / pointers.size);
    if (pointers.size === 2 && wide > 0) map.view.zoomBy(spread() / wide, now.x, now.y);
  });
  const release = (event) => {
    const clicked = pointers.delete(event.pointerId) && travelled < CLICK_PIXELS;
    if (clicked && event.type === 'pointerup') pick(point(event));
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => {
    map.hover = undefined;
  });
  canvas.addEventListener(
    'wheel',
    (event) => {
      // A plain wheel scrolls the page; with Ctrl (or a pinch on a touchpad) it zooms the map.
      if (!event.ctrlKey) return;
      event.preventDefault();
      map.view.zoomBy(Math.exp(-event.deltaY / 150), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  canvas.addEventListener('dblclick', (event) => {
    map.view.zoomBy(2, event.offsetX, event.offsetY);
  });
  canvas.addEventListener('keydown', (event) => {
    const action = keys[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  zoomIn.addEventListener('click', () => map.view.zoomBy(ZOOM_STEP));
  zoomOut.addEventListener('click', () => map.view.zoomBy(1 / ZOOM_STEP));

  const keys = {
    ArrowLeft: () => map.view.pan(KEY_PAN_PIXELS, 0),
    ArrowRight: () => map.view.pan(-KEY_PAN_PIXELS, 0),
    ArrowUp: () => map.view.pan(0, KEY_PAN_PIXELS),
    ArrowDown: () => map.view.pan(0, -KEY_PAN_PIXELS),
    '+': () => map.view.zoomBy(ZOOM_STEP),
    '=': () => map.view.zoomBy(ZOOM_STEP),
    '-': () => map.view.zoomBy(1 / ZOOM_STEP),
    n: () => chooseNext(1),
    p: () => chooseNext(-1),
    Escape: () => actions.chosen() && actions.chooseFlight(actions.chosen()),
  };

  function pick({ x, y }) {
    const found = map.pick(x, y, actions.flights);
    if (found?.flight !== undefined) actions.chooseFlight(found.flight.state.id);
    else if (found?.place !== undefined) actions.chooseAirport(found.place.id);
  }

  function chooseNext(step) {
    const aloft = [...actions.flights.all].filter((flight) => flight.state.status === 'airborne');
    const ids = aloft.map((flight) => flight.state.id).sort();
    if (ids.length === 0) return;
    const index = ids.indexOf(actions.chosen());
    const next = index < 0 ? 0 : (index + step + ids.length) % ids.length;
    if (ids[next] !== actions.chosen()) actions.chooseFlight(ids[next]);
  }
}
