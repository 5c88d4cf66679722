/**
 * The change stream: one server-sent event for each change of a flight, numbered without gaps. The
 * newest `KEPT` are kept, so that a client which comes back with `Last-Event-ID` misses nothing; one
 * that stayed away longer (or comes the first time) is sent every flight as it is now.
 *
 * A client that does not read is cut off when its buffer exceeds `UNSENT_BYTES_MAX`; it reconnects
 * and resumes.
 */
const KEPT = 4_000;
const UNSENT_BYTES_MAX = 1_000_000;
const COMMENT_EVERY_MS = 10_000;

export class ChangeStream {
  #events = [];
  #lastId = 0;
  #clients = new Set();
  #current;
  #run;

  /** `current()` returns all flights; `run` names this process, since numbers begin anew in each. */
  constructor(current, run) {
    this.#current = current;
    this.#run = run;
  }

  get clients() {
    return this.#clients.size;
  }

  publish(states) {
    if (states.length === 0) return;
    const text = states.map((state) => this.#remember(state)).join('');
    for (const response of this.#clients) this.#send(response, text);
  }

  attach(request, response) {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: 1000\n\n${this.#catchUp(request.headers['last-event-id'])}`);
    this.#clients.add(response);
    const timer = setInterval(() => this.#send(response, ': still here\n\n'), COMMENT_EVERY_MS);
    response.on('close', () => {
      clearInterval(timer);
      this.#clients.delete(response);
    });
  }

  close() {
    for (const response of this.#clients) response.end();
  }

  #remember(state) {
    this.#lastId += 1;
    const event = { number: this.#lastId, text: this.#encode(state, this.#lastId) };
    this.#events.push(event);
    if (this.#events.length > KEPT) this.#events.splice(0, this.#events.length - KEPT);
    return event.text;
  }

  #catchUp(lastEventId) {
    const [run, number] = (lastEventId ?? '').split('.');
    const first = this.#events[0]?.number ?? this.#lastId + 1;
    const known = run === this.#run && Number(number) + 1 >= first;
    if (!known || Number(number) > this.#lastId) {
      return this.#current()
        .map((state) => this.#encode(state, this.#lastId))
        .join('');
    }
    return this.#events
      .filter((event) => event.number > Number(number))
      .map((event) => event.text)
      .join('');
  }

  #encode(state, number) {
    const body = JSON.stringify({ flightId: state.id, state });
    return `id: ${this.#run}.${number}\nevent: flight\ndata: ${body}\n\n`;
  }

  #send(response, text) {
    response.write(text);
    if (response.writableLength > UNSENT_BYTES_MAX) response.destroy();
  }
}
