/** Makes the table Rate a cache over code. A real one would ask a service with `fetch`. */
import { tables } from 'millrace';

const RATES: Readonly<Record<string, number>> = { chf: 0.94, jpy: 165.2, usd: 1.09 };

tables.Rate.sourcedFrom(
  {
    get(id, context) {
      const perEuro = RATES[String(id)];
      context.lastModified = Date.UTC(2026, 0, 1);
      return perEuro === undefined ? undefined : { perEuro };
    },
  },
  { expiration: 60 },
);
