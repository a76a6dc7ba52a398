import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Counter,
  Gauge,
  Histogram,
  infoMetric,
  readWhenScraped,
} from '../../../src/observe/metrics/instruments.ts'
import { exposition } from '../../../src/observe/metrics/text-format.ts'
import { parseExposition } from '../exposition.ts'

test('a counter adds up by its labels', () => {
  const counter = new Counter({ name: 'a_total', help: 'A.', labels: ['x', 'y'] })
  counter.add(0, { x: '1', y: '2' })
  counter.add(2, { x: '1', y: '3' })
  counter.add(3, { x: '1', y: '3' })
  const { samples } = parseExposition(exposition([counter])).get('a_total') ?? assert.fail()
  assert.deepEqual(
    [...samples],
    [
      ['a_total{x="1",y="2"}', 0],
      ['a_total{x="1",y="3"}', 5],
    ],
  )
  assert.equal(counter.value({ x: '1', y: '3' }), 5)
  assert.equal(counter.value({ x: 'never', y: 'seen' }), 0)
})

test('label values beyond the limit are counted as other', () => {
  const counter = new Counter({ name: 'a_total', help: 'A.', labels: ['host'], limit: 10 })
  for (let i = 0; i < 1000; i++) counter.add(1, { host: `h${i}` })
  const { samples } = parseExposition(exposition([counter])).get('a_total') ?? assert.fail()
  assert.equal(samples.size, 11)
  assert.equal(samples.get('a_total{host="other"}'), 990)
})

test('a gauge holds the last value, and one that is read when scraped may have no sample', () => {
  const gauge = new Gauge({ name: 'g', help: 'G.', labels: ['host'] })
  gauge.set(5, { host: 'a' })
  gauge.set(3, { host: 'a' })
  const read = readWhenScraped('gauge', 'r', 'R.', () => 1.5)
  const none = readWhenScraped('gauge', 'n', 'N.', () => undefined)
  const families = parseExposition(exposition([gauge, read, none, infoMetric('i', 'I.', { version: '1"2' })]))
  assert.equal(families.get('g')?.samples.get('g{host="a"}'), 3)
  assert.equal(families.get('r')?.samples.get('r'), 1.5)
  assert.equal(families.get('n')?.samples.size, 0)
  assert.equal(families.get('i')?.samples.get('i{version="1\\"2"}'), 1)
})

test('a histogram counts each value in every bucket whose bound it does not exceed', () => {
  const histogram = new Histogram({ name: 'h', help: 'H.', labels: ['r'], bounds: [1, 5] })
  for (const value of [0.5, 1, 3, 100]) histogram.observe(value, { r: 'x' })
  const { samples } = parseExposition(exposition([histogram])).get('h') ?? assert.fail()
  assert.deepEqual([...samples.values()], [2, 3, 4, 104.5, 4])
})
