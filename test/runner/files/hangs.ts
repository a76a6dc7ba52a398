import { test } from 'node:test'

test('one that ends', () => {})
test('one that hangs', async () => {
  await new Promise((resolve) => setTimeout(resolve, 600_000))
})
test('one that is never reached', () => {})
