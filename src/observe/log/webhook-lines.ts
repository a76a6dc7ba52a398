import { subscribe } from '../events.ts'
import { Repeats } from './repeats.ts'

interface WarnLog {
  warn(fields: object, message: string): void
}

/** Logs events that webhooks did not take, each kind at most once in a minute. Returns the function that ends this. */
export function logWebhooks(log: WarnLog): () => void {
  const dropped = new Repeats<{ webhook: string; reason: string; problem: string | undefined }>(
    (facts, times) => log.warn({ ...facts, times }, 'events for a webhook were dropped'),
  )
  const failed = new Repeats<{ webhook: string; problem: string; nextInMs: number }>((facts, times) =>
    log.warn({ ...facts, times }, 'a webhook takes no events, which are sent again'),
  )
  const subscriptions = [
    subscribe('webhook.ended', ({ webhook, outcome, problem }) => {
      if (outcome !== 'delivered') dropped.add(`${webhook} ${outcome}`, { webhook, reason: outcome, problem })
    }),
    subscribe('webhook.failed', (event) => failed.add(event.webhook, event)),
  ]
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
    dropped.close()
    failed.close()
  }
}
