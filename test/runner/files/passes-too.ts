import { test } from 'node:test'

test('another that passes', () => {})
