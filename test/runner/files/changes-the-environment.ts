import { test } from 'node:test'

test('one that changes a variable', () => {
  process.env['LEAT_CHANGED'] = '1'
})
