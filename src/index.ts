/** The library: the same agent that `agent serve` runs, in a program of your own. */
export type { Agent } from './agent.ts'
export type { SettingsObject, SettingValue } from './config/settings-object.ts'
export { SettingsError } from './config/values/settings-error.ts'
export type { FlightPolicy } from './fetch/flight/flight-policy.ts'
export { createAgent, type ProgramOptions } from './library.ts'
export type { ListenAddress } from './registry-api/server.ts'
