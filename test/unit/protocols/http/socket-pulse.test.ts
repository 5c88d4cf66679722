/** Who of those that are pinged is taken to be gone. */
import { describe, expect, it } from 'vitest';
import { SocketPulse } from '../../../../src/protocols/http/socket-pulse.ts';

/** At how many pings in a row it is kept, of ten, with so many bytes waiting at each. */
function pingsOf(pulse: SocketPulse, waiting: (ping: number) => number = () => 0): number {
  for (let ping = 0; ping < 10; ping += 1) if (!pulse.mayGoOn(waiting(ping))) return ping;
  return 10;
}

describe('the pulse of a socket', () => {
  it('ends at the second ping when the first was not answered', () => {
    expect(pingsOf(new SocketPulse())).toBe(1);
  });

  it('goes on with any sign of life between two pings', () => {
    const pulse = new SocketPulse();
    for (let ping = 0; ping < 5; ping += 1) {
      expect(pulse.mayGoOn(0)).toBe(true);
      if (ping % 2 === 0) pulse.heard();
      else pulse.ponged();
    }
  });

  it('goes on as long as what waits becomes less', () => {
    expect(pingsOf(new SocketPulse(), (ping) => 100 - ping)).toBe(10);
    expect(pingsOf(new SocketPulse(), () => 100)).toBe(3);
  });

  it('is waited for longer once all has left for the kernel, until it answers a ping', () => {
    const pulse = new SocketPulse();
    pulse.drained();
    expect(pingsOf(pulse)).toBe(8);
    pulse.drained();
    pulse.ponged();
    expect(pingsOf(pulse)).toBe(1);
  });

  it('is not believed to have read because it sends', () => {
    const pulse = new SocketPulse();
    pulse.drained();
    pulse.heard();
    expect(pingsOf(pulse)).toBe(8);
  });
});
