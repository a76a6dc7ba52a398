import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { whenNothingIsPulled } from '../../../src/observe/log/no-pulls.ts'
import { requestEnded } from '../sample-events.ts'

test('a node whose runtime never asks for an image is reported once, after an hour', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let reports = 0
  const end = whenNothingIsPulled(() => {
    reports += 1
  })
  // A probe of the registry asks for no image.
  publish('request.ended', requestEnded({ reference: undefined, repository: undefined }))
  t.mock.timers.tick(60 * 60 * 1000 - 1)
  assert.equal(reports, 0)
  t.mock.timers.tick(24 * 60 * 60 * 1000)
  assert.equal(reports, 1)
  end()
})

test('a node that is asked for an image is not reported', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const end = whenNothingIsPulled(() => assert.fail('it was reported'))
  publish('request.ended', requestEnded({ reference: 'v1' }))
  t.mock.timers.tick(24 * 60 * 60 * 1000)
  end()
})
