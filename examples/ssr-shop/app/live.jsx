'use client';
// Keeps the page as it is on the server: subscribes to the records it shows, and has the router
// fetch the page anew when one of them changes. The page cache answers, so a thousand open browsers
// cost one rendering.
import { useRouter } from 'next/navigation';
import { useEffect, useState } from 'react';

const EDITION = process.env.NEXT_PUBLIC_EDITION ?? 'one';
/** Changes that come together cost one fetch. */
const TOGETHER_MS = 50;

export function Live({ of, renderedAt }) {
  const router = useRouter();
  const [state, setState] = useState('connecting');
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const events = new EventSource(of);
    let timer;
    let isFirst = true;
    const changed = (event) => {
      const { retained } = JSON.parse(event.data);
      setState('live');
      // The state as it was on joining: the page may have been made from an older one.
      if (isFirst || retained) isFirst = false;
      else setChanges((count) => count + 1);
      clearTimeout(timer);
      timer = setTimeout(() => router.refresh(), TOGETHER_MS);
    };
    for (const type of ['snapshot', 'put', 'patch', 'delete', 'reset']) {
      events.addEventListener(type, changed);
    }
    events.onerror = () => setState('connecting');
    return () => {
      clearTimeout(timer);
      events.close();
    };
  }, [of, router]);
  const at = new Date(renderedAt).toISOString().slice(11, 19);
  return (
    <p className="live" data-live={state} data-changes={changes} data-script={EDITION}>
      <span className="dot" aria-hidden="true" />
      {state} · rendered at {at} UTC · {changes} {changes === 1 ? 'change' : 'changes'} since you
      came
    </p>
  );
}
