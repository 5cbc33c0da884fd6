"""Four invented encounters of two people, in the form of the 130 US hospitals' table."""

from __future__ import annotations

HEADER = (
    "encounter_id,patient_nbr,race,gender,age,weight,admission_type_id,discharge_disposition_id,admission_source_id,"
    "time_in_hospital,payer_code,medical_specialty,num_lab_procedures,num_procedures,num_medications,"
    "number_outpatient,number_emergency,number_inpatient,diag_1,diag_2,diag_3,number_diagnoses,max_glu_serum,"
    "A1Cresult,metformin,repaglinide,nateglinide,chlorpropamide,glimepiride,acetohexamide,glipizide,glyburide,"
    "tolbutamide,pioglitazone,rosiglitazone,acarbose,miglitol,troglitazone,tolazamide,examide,citoglipton,insulin,"
    "glyburide-metformin,glipizide-metformin,glimepiride-pioglitazone,metformin-rosiglitazone,"
    "metformin-pioglitazone,change,diabetesMed,readmitted"
)
SEVENTEEN_NO = ",".join(["No"] * 17)
FIVE_NO = ",".join(["No"] * 5)
ROWS = (
    "1,11,Caucasian,Female,[70-80),?,1,3,7,4,MC,Emergency/Trauma,41,0,13,0,0,1,250.83,V27,E849,9,None,>8,"
    f"{SEVENTEEN_NO},Steady,{FIVE_NO},Ch,Yes,<30",
    "2,11,?,Female,[80-90),>200,2,1,1,14,?,?,7,6,1,2,1,0,8,?,?,1,>300,Norm,"
    f"{SEVENTEEN_NO},No,{FIVE_NO},No,No,>30",
    "3,11,Other,Unknown/Invalid,[80-90),[0-25),3,11,17,1,SP,Surgery-Colon&Rectal,1,0,2,0,0,0,428,428,428,3,Norm,None,"
    f"{SEVENTEEN_NO},Up,{FIVE_NO},Ch,Yes,NO",
    "4,12,AfricanAmerican,Male,[0-10),?,4,25,20,2,HM,Pediatrics,30,1,5,0,0,0,250.03,780,?,2,None,None,"
    f"{SEVENTEEN_NO},Down,{FIVE_NO},Ch,Yes,NO",
)
TABLE = "\n".join((HEADER, *ROWS)) + "\n"
FILES = {"diabetic_data.csv.gz": TABLE}
