import assert from 'node:assert/strict'
import { test } from 'node:test'
import { htmlReport } from '../../../bench/results/html-report.ts'
import { sampleCheck, sampleResult, sampleRow } from './sample-result.ts'

test('the report is one file that runs and loads nothing, and begins with what was missed', () => {
  const html = htmlReport(
    sampleResult(
      [
        sampleRow([sampleCheck([1.2, 1.4], { atLeast: 1 })]),
        sampleRow([sampleCheck([0.5], { atLeast: 0.9 })], {
          name: 'slow <row>',
          notes: ['nginx is not installed & so on'],
        }),
      ],
      { failures: [{ group: 'push', message: 'no server' }] },
    ),
  )
  assert.doesNotMatch(html, /<script|<link|src=|href=|url\(|@import/)
  assert.match(html, /1 of 2 targets are met/)
  const missed = html.indexOf('slow &lt;row&gt;: compared with nginx: 0.50x, target &gt;= 0.90x')
  assert.ok(missed > 0 && missed < html.indexOf('stored blob'))
  assert.match(html, /push could not be measured: no server/)
  assert.match(html, /nginx is not installed &amp; so on/)
  assert.equal(html.match(/<rect /g)?.length, 4)
  assert.equal(html.match(/class="limit"/g)?.length, 2)
})

test('values that cannot be drawn are written', () => {
  const html = htmlReport(
    sampleResult([
      sampleRow([sampleCheck([], { atLeast: 1 })], {
        figures: [{ side: 'Leat', unit: 'MB/s', values: [Number.NaN] }],
      }),
    ]),
  )
  assert.match(html, /nothing measured/)
  assert.doesNotMatch(html, /<rect|<circle|="NaN"/)
})
