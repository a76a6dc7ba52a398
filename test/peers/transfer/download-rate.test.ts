import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DownloadRate } from '../../../src/peers/transfer/download-rate.ts'

const KIB = 1024
const MINUTE = 60_000

function simulatedDownloads() {
  const time = { nowMs: 5000 }
  const downloadRate = new DownloadRate(() => time.nowMs)
  /** Adds `bytes` every 10 ms. */
  const receive = (bytes: number, ms: number): void => {
    for (let at = 0; at < ms; at += 10) {
      time.nowMs += 10
      downloadRate.add(bytes)
    }
  }
  return { downloadRate, receive, time }
}

const isAbout = (rate: number | undefined, expected: number): void =>
  assert.ok(rate !== undefined && Math.abs(rate / expected - 1) < 0.02, `${rate}, not ${expected}`)

test('the best rate and the current rate are measured', () => {
  const { downloadRate, receive } = simulatedDownloads()
  assert.equal(downloadRate.bestBytesPerSecond, undefined)
  receive(20 * KIB, 2100)
  isAbout(downloadRate.bestBytesPerSecond, 2000 * KIB)
  receive(5 * KIB, 3000)
  isAbout(downloadRate.bestBytesPerSecond, 2000 * KIB)
  isAbout(downloadRate.currentBytesPerSecond, 500 * KIB)
})

test('a short download is measured when a pause follows it', () => {
  const { downloadRate, receive, time } = simulatedDownloads()
  receive(40 * KIB, 400)
  assert.equal(downloadRate.bestBytesPerSecond, undefined)
  time.nowMs += 300
  isAbout(downloadRate.bestBytesPerSecond, 4000 * KIB)
})

test('pauses do not lower the rate', () => {
  const { downloadRate, receive, time } = simulatedDownloads()
  for (let at = 0; at < 5; at += 1) {
    receive(10 * KIB, 500)
    time.nowMs += 5000
  }
  isAbout(downloadRate.bestBytesPerSecond, 1000 * KIB)
  assert.equal(downloadRate.currentBytesPerSecond, undefined)
})

test('few bytes give no rate, unless they arrive for a whole second', () => {
  const { downloadRate, receive, time } = simulatedDownloads()
  for (let at = 0; at < 100; at += 1) {
    receive(2 * KIB, 400)
    time.nowMs += 1000
  }
  time.nowMs += 10
  downloadRate.add(10 * 1024 * KIB)
  time.nowMs += 1000
  assert.equal(downloadRate.bestBytesPerSecond, undefined)
  receive(KIB, 4000)
  isAbout(downloadRate.bestBytesPerSecond, 100 * KIB)
})

test('the best rate is forgotten within half an hour', () => {
  const { downloadRate, receive, time } = simulatedDownloads()
  receive(20 * KIB, 2000)
  time.nowMs += 14 * MINUTE
  receive(10 * KIB, 2000)
  isAbout(downloadRate.bestBytesPerSecond, 2000 * KIB)
  time.nowMs += 10 * MINUTE
  isAbout(downloadRate.bestBytesPerSecond, 2000 * KIB)
  time.nowMs += 10 * MINUTE
  assert.equal(downloadRate.bestBytesPerSecond, undefined)
  receive(10 * KIB, 2000)
  isAbout(downloadRate.bestBytesPerSecond, 1000 * KIB)
})
