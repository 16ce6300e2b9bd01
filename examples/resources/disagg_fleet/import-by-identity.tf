import {
  to = disagg_fleet.pd
  identity = {
    cloud  = "local"
    region = "local"
    fleet  = "pd"
  }
}
