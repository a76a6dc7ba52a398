import type { TestEvent } from './test-event.ts'

/** Runs in the process of a test file, and sends every event of Node's test runner to the process that started it. */
// biome-ignore lint/style/noDefaultExport: Node loads a reporter by its default export.
export default async function* sendEvents(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) process.send?.({ type, data })
  yield ''
}
