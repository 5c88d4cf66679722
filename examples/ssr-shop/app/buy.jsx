'use client';
import { useState } from 'react';

export function Buy({ id, soldOut }) {
  const [busy, setBusy] = useState(false);
  const buy = async () => {
    setBusy(true);
    // The page needs no answer: it hears of the change like every other page.
    await fetch('/api/buy', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id }),
    }).catch(() => undefined);
    setBusy(false);
  };
  return (
    <button type="button" onClick={buy} disabled={busy || soldOut} data-buy>
      {soldOut ? 'Sold out' : 'Buy a sack'}
    </button>
  );
}
