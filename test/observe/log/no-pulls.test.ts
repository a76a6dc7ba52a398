import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { whenNothingIsPulled } from '../../../src/observe/log/no-pulls.ts'
import { requestEnded } from '../sample-events.ts'

test('a node whose runtime never asks for an image is reported once', async () => {
  let reports = 0
  const alive = setInterval(() => {}, 1000)
  await new Promise<void>((resolve) => {
    const end = whenNothingIsPulled(
      () => {
        reports += 1
        end()
        resolve()
      },
      { quietMs: 10 },
    )
    // A probe of the registry asks for no image.
    publish('request.ended', requestEnded({ reference: undefined, repository: undefined }))
  })
  clearInterval(alive)
  assert.equal(reports, 1)
})

test('a node that is asked for an image is not reported', async () => {
  const end = whenNothingIsPulled(() => assert.fail('it was reported'), { quietMs: 30 })
  publish('request.ended', requestEnded({ reference: 'v1' }))
  await new Promise((resolve) => setTimeout(resolve, 60))
  end()
})
