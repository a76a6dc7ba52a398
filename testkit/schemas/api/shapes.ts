import { fileURLToPath } from 'node:url'
import { toJsonSchema } from '@valibot/to-json-schema'
import { BlobReport, ImageReport } from '../../../src/schemas/content-report.ts'
import { EventLine } from '../../../src/schemas/event-report.ts'
import { HistoryReport } from '../../../src/schemas/history-report.ts'
import { SwarmActivityReport } from '../../../src/schemas/peer-report.ts'
import { PullsReport } from '../../../src/schemas/pull-report.ts'
import { StatusReport } from '../../../src/schemas/status-report.ts'
import { ErrorReport } from '../../../src/schemas/units.ts'
import {
  GcLine,
  GcRequest,
  HostedGcLine,
  HostedGcRequest,
  PinsReport,
  PinsRequest,
  RemovalLine,
  RemovalRequest,
  VerifyLine,
  VerifyRequest,
} from '../../../src/schemas/upkeep-report.ts'
import { WarmLine, WarmRequest } from '../../../src/schemas/warm-report.ts'
import { WhyReport } from '../../../src/schemas/why-report.ts'
import { readComments } from './comments.ts'
import { describe, type JsonSchema } from './describe.ts'

export type ValibotSchema = Parameters<typeof toJsonSchema>[0]

/** The shapes of `/api/v1` by the names of their constants; a `line` is one line of an answer in JSON lines. */
const SHAPES = {
  error: { ErrorReport },
  status: { StatusReport },
  'blobs.line': { BlobReport },
  'images.line': { ImageReport },
  pulls: { PullsReport },
  history: { HistoryReport },
  swarm: { SwarmActivityReport },
  why: { WhyReport },
  'events.line': { EventLine },
  'gc.request': { GcRequest },
  'gc.line': { GcLine },
  'hosted-gc.request': { HostedGcRequest },
  'hosted-gc.line': { HostedGcLine },
  'verify.request': { VerifyRequest },
  'verify.line': { VerifyLine },
  'pins.request': { PinsRequest },
  pins: { PinsReport },
  'removal.request': { RemovalRequest },
  'removal.line': { RemovalLine },
  'warm.request': { WarmRequest },
  'warm.line': { WarmLine },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ValibotSchema>>>>
export type ShapeName = keyof typeof SHAPES

const FOLDER = fileURLToPath(new URL('../../../../src/schemas', import.meta.url))

/** The JSON Schemas of all shapes, with the comments of the code as descriptions. */
export function apiShapes(): ReadonlyMap<ShapeName, JsonSchema> {
  const comments = readComments(FOLDER)
  return new Map(
    Object.entries<Readonly<Record<string, ValibotSchema>>>(SHAPES).map(([name, constant]) => {
      const [[constantName, schema] = []] = Object.entries(constant)
      if (constantName === undefined || schema === undefined) throw new TypeError(`${name} has no schema`)
      return [name as ShapeName, describe(jsonSchemaOf(schema), comments.get(constantName))]
    }),
  )
}

/** Checks that JSON Schema cannot express are left out. Requests are described as a client sends them. */
export function jsonSchemaOf(schema: ValibotSchema): JsonSchema {
  return toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    errorMode: 'ignore',
  }) as JsonSchema
}
