import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counter } from '../../../src/observe/metrics/instruments.ts'
import { exposition } from '../../../src/observe/metrics/text-format.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { parseExposition } from '../exposition.ts'

test('no label value or help text breaks the format, and different label values are different series', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 8 }),
      fc.string(),
      (values, help) => {
        const counter = new Counter({ name: 'a_total', help: `.${help}`, labels: ['x'] })
        for (const x of values) counter.add(1, { x })
        const family = parseExposition(exposition([counter])).get('a_total')
        assert.equal(family?.samples.size, values.length)
      },
    ),
  )
})
