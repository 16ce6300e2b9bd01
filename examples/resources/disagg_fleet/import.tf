import {
  to = disagg_fleet.pd
  id = "local/local/pd"
}
