import { docker } from '../kinds/docker.ts'
import { testPulls } from './pull-steps.ts'

testPulls(docker)
