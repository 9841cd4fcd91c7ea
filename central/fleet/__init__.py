"""How units and the service are: judged for the fleet page, told as metrics, watched for alarms."""
