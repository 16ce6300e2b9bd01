terraform import disagg_fleet.pd local/local/pd
