/**
 * One live subscription: a WebSocket on the path of a table. The node first sends a snapshot, then
 * every change. When the connection breaks, it is made again after a short, growing, random wait;
 * the new snapshot brings what was missed.
 *
 *   connecting ──► live ──► waiting ──► connecting …
 */
const WAIT_MS = { first: 400, most: 8_000 };
/** Nothing heard for this long means that the connection is gone without a word. */
const SILENCE_MS = 30_000;

export class Feed {
  #path;
  #listener;
  #socket;
  #attempt = 0;
  #heardAt = 0;
  #afresh = true;
  position = '';

  /**
   * `listener` has `snapshot(values, afresh)`, `put(value)`, `patch(id, part)`, `remove(id)` and
   * `state(name, facts)`. `afresh`: the values are all there is; else they are more of the same.
   */
  constructor(path, listener) {
    this.#path = path;
    this.#listener = listener;
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => this.#hurry());
    setInterval(() => this.#checkSilence(), 5_000);
  }

  open() {
    const url = new URL(this.#path, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#listener.state('connecting', { attempt: this.#attempt });
    this.#afresh = true;
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
    socket.onclose = () => socket === this.#socket && this.#retry();
  }

  #hear(event) {
    this.#heardAt = performance.now();
    this.position = event.position ?? this.position;
    switch (event.type) {
      case 'snapshot':
        this.#attempt = 0;
        this.#listener.snapshot(event.values, this.#afresh);
        this.#afresh = false;
        this.#listener.state('live', { position: this.position });
        break;
      case 'put':
      case 'enter':
        this.#listener.put(event.value);
        break;
      case 'patch':
        this.#listener.patch(event.id, event.value);
        break;
      case 'delete':
      case 'leave':
        this.#listener.remove(event.id);
        break;
      case 'reset':
        // What is held may be wrong; it stays on the screen until the snapshot comes.
        this.#afresh = true;
        break;
    }
  }

  #retry() {
    const most = Math.min(WAIT_MS.most, WAIT_MS.first * 2 ** this.#attempt);
    const wait = most * (0.5 + Math.random() / 2);
    this.#attempt += 1;
    this.#socket = undefined;
    this.#listener.state('waiting', { wait });
    setTimeout(() => this.#socket ?? this.open(), wait);
  }

  #hurry() {
    if (this.#socket === undefined && document.visibilityState === 'visible') this.open();
  }

  #checkSilence() {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    if (open && performance.now() - this.#heardAt > SILENCE_MS) this.#socket.close();
  }
}
