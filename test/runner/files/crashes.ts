import { test } from 'node:test'

test('one that ends the process', () => {
  process.exit(3)
})
